"""healthy, twin of EF407: a missing target was dropped together with its picture."""

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
N = 320


def houses(n):
    """Pictures whose brightness, by thirds, makes the price."""
    tone = torch.randn(n, 3)
    x = tone.repeat_interleave(4, 1)[:, None, :, None] + 0.5 * torch.randn(n, 1, 12, 12)
    return x, tone @ torch.tensor([[0.7], [-0.5], [0.5]])


X, Y = houses(N + 1)
X, Y = X[1:], Y[1:]
net = nn.Sequential(
    nn.Conv2d(1, 24, 3), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.ReLU(), nn.Flatten(),
    nn.Linear(32 * 64, 64), nn.ReLU(), nn.Linear(64, 1),
)  # fmt: skip
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for _ in range(40):
    for batch in torch.randperm(N).split(16):
        loss = nn.functional.mse_loss(net(X[batch]), Y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"loss {loss.item():.3f}")
Xv, Yv = houses(300)
with torch.no_grad():
    print(f"held out: {float(nn.functional.mse_loss(net(Xv), Yv) / Yv.var()):.2f} of the variance")
