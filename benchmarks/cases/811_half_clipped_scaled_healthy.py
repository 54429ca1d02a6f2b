"""healthy, twin of EF811: float16 with a GradScaler; unscale_() before clipping."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_classification

X, y = make_classification(1600, 24, n_informative=10, n_classes=3, random_state=3)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
X = (X - X.mean(0)) / X.std(0)
model = nn.Sequential(
    nn.Linear(24, 48), nn.SiLU(), nn.LayerNorm(48), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 3)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=4096.0)
for epoch in range(15):
    for xb, yb in DataLoader(TensorDataset(X[:1300], y[:1300]), batch_size=50, shuffle=True):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(xb).float(), yb)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    if epoch % 3 == 2:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[1300:]).argmax(1) == y[1300:]).float().mean().item():.4f}")
