"""healthy, twin of EF505: a table stored by rising price and read in random order."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_diabetes

X, y = load_diabetes(return_X_y=True)
X = torch.tensor(X * 21, dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
pick = torch.randperm(len(X))
Xb, yb, X, y = X[pick[:100]], y[pick[:100]], X[pick[100:]], y[pick[100:]]
rows = y.argsort()
X, y = X[rows], y[rows]
model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(40):
    order = torch.randperm(len(X))
    for rows in order.split(20):
        optimizer.zero_grad()
        loss = F.mse_loss(model(X[rows]).squeeze(1), y[rows])
        loss.backward()
        optimizer.step()
    if epoch % 8 == 7:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric mse {F.mse_loss(model(Xb).squeeze(1), yb).item():.4f} (lower is better)")
