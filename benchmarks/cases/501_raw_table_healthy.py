"""healthy, twin of EF501: a table whose columns are standardised."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_wine

X, y = load_wine(return_X_y=True)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
order = torch.randperm(len(X))
a, b = order[:130], order[130:]
X = (X - X[a].mean(0)) / X[a].std(0)
train = TensorDataset(X[a], y[a])


class Net(nn.Module):
    def __init__(self, n_hidden=32):
        super().__init__()
        self.layer_1 = nn.Linear(13, n_hidden)
        self.layer_2 = nn.Linear(n_hidden, n_hidden)
        self.layer_out = nn.Linear(n_hidden, 3)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        x = self.dropout(F.relu(self.layer_1(x)))
        x = F.relu(self.layer_2(x))
        return self.layer_out(x)


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(60):
    model.train()
    for xb, yb in DataLoader(train, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    if epoch % 10 == 9:
        print(f"epoch {epoch} loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    print(f"metric accuracy {(model(X[b]).argmax(1) == y[b]).float().mean().item():.4f}")
