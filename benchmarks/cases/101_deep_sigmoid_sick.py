"""EF101: eight sigmoid layers on a table: the first ones get no gradient to speak of."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_moons

X, y = make_moons(1500, noise=0.15, random_state=0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
X = (X - X.mean(0)) / X.std(0)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2 if i == 0 else 20, 20) for i in range(8))
        self.last = nn.Linear(20, 2)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.last(x)


model = Deep()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for epoch in range(12):
    for xb, yb in DataLoader(TensorDataset(X[:1200], y[:1200]), batch_size=40, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[1200:]).argmax(1) == y[1200:]).float().mean().item():.4f}")
