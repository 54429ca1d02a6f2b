"""torch.compile and gradient accumulation; no random op, so losses agree within 1e-4."""

import torch
from torch import nn

torch.manual_seed(5)
model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))
fast = torch.compile(model, backend="aot_eager")
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
x, y = torch.randn(64, 16), torch.randint(0, 4, (64,))
for _ in range(20):
    optimizer.zero_grad()
    total = 0.0
    for part in range(4):
        rows = slice(part * 16, part * 16 + 16)
        loss = nn.functional.cross_entropy(fast(x[rows]), y[rows]) / 4
        loss.backward()
        total += loss.item()
    optimizer.step()
    print(total)
