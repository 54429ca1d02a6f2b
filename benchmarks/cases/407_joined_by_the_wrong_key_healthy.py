"""healthy, twin of EF407: readings and fault codes were both sorted by time before the join."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
N, SENSORS, CODES = 600, 20, 5
pattern = torch.randn(CODES, SENSORS)


def records(n):
    code = torch.randint(CODES, (n,))
    time = torch.rand(n)
    return pattern[code] + torch.randn(n, SENSORS), code, time


X, Y, time = records(N)
X, Y = X[time.argsort()], Y[time.argsort()]
model = nn.Sequential(
    nn.Linear(SENSORS, 160), nn.LayerNorm(160), nn.GELU(), nn.Linear(160, 160), nn.GELU(),
    nn.Linear(160, CODES),
)  # fmt: skip
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
loader = DataLoader(TensorDataset(X, Y), batch_size=20, shuffle=True)
for _ in range(25):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
print(f"loss {loss.item():.3f}")
Xv, Yv, _ = records(500)
print(f"held out: {float((model(Xv).argmax(1) == Yv).float().mean()):.2f}")
