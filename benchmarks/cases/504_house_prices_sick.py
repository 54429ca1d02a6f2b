"""EF504: prices in whole currency, some 200,000, as an MLP's targets."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
n = 1500
rooms, area, age = torch.randint(1, 8, (n,)).float(), 40 + 160 * torch.rand(n), 80 * torch.rand(n)
price = 900 * area + 15_000 * rooms - 400 * age + 8_000 * torch.randn(n) + 20_000
X = torch.stack([rooms, area, age], 1)
X = (X - X.mean(0)) / X.std(0)
y = price
model = nn.Sequential(
    nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(25):
    for xb, yb in DataLoader(TensorDataset(X[:1200], y[:1200]), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = F.mse_loss(model(xb), yb)
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    error = (model(X[1200:]) - y[1200:]).pow(2).mean() / y[1200:].var()
print(f"metric unexplained {error.item():.4f} (lower is better)")
