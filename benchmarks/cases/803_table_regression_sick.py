"""EF803: regression on a table, predictions (N, 1) against targets (N,) in nn.MSELoss."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_friedman1

X, y = make_friedman1(2500, 10, noise=0.5, random_state=0)
X = torch.tensor(2 * X - 1, dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(10, 64), nn.Linear(64, 64)])
        self.head = nn.Linear(64, 1)

    def forward(self, x):
        for layer in self.layers:
            x = F.silu(layer(x))
        return self.head(x)


model = Regressor()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(12):
    for xb, yb in DataLoader(TensorDataset(X[:2000], y[:2000]), batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    said = model(X[2000:]).reshape(-1)
print(f"metric mse {F.mse_loss(said, y[2000:]).item():.4f} (lower is better)")
