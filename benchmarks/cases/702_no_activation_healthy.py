"""healthy, twin of EF702: four linear layers with SiLU between them."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_circles

X, y = make_circles(1500, noise=0.08, factor=0.5, random_state=0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
model = nn.Sequential(
    nn.Linear(2, 32),
    nn.SiLU(),
    nn.Linear(32, 32),
    nn.SiLU(),
    nn.Linear(32, 16),
    nn.SiLU(),
    nn.Linear(16, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(15):
    for xb, yb in DataLoader(TensorDataset(X[:1200], y[:1200]), batch_size=50, shuffle=True):
        loss = loss_fn(model(xb).squeeze(-1), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    hit = (model(X[1200:]).squeeze(-1) > 0) == (y[1200:] > 0.5)
print(f"metric accuracy {hit.float().mean().item():.4f}")
