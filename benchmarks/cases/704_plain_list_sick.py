"""EF704: the hidden layers stand in a plain list, so model.parameters() does not hold them."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_moons

X, y = make_moons(1500, noise=0.1, random_state=0)
X = torch.tensor(X, dtype=torch.float32)
X, y = (X - X.mean(0)) / X.std(0), torch.tensor(y ^ (X[:, 0].numpy() > 0.3))


class Deep(nn.Module):
    def __init__(self, depth=4, width=8):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.hidden = [nn.Linear(width, width) for _ in range(depth)]
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


model = Deep()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(20):
    for xb, yb in DataLoader(TensorDataset(X[:1200], y[:1200]), batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[1200:]).argmax(1) == y[1200:]).float().mean().item():.4f}")
