"""healthy, twin of EF802: the warm-up of a LambdaLR divides by /."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
N = 8


def batch(n):
    x = torch.rand(n, N, 1)
    return x, x.argsort(1).argsort(1).squeeze(-1)


class Ranker(nn.Module):
    """The rank of each number among its set."""

    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(1, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(32, N)

    def forward(self, x):
        return self.out(self.body(self.inp(4 * x - 2)))


WARMUP, STEPS = 50, 450
model = Ranker()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, (s + 1) / WARMUP))
for step in range(STEPS):
    x, y = batch(32)
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 90 == 89:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = batch(500)
    print(f"metric accuracy {(model(x).argmax(-1) == y).float().mean().item():.4f}")
