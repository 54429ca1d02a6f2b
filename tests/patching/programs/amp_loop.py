"""Mixed precision with a GradScaler, on the CPU here."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cpu"
x = torch.randn(64, 8)
y = x[:, :2].argmax(1)
model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 2)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler(device)
for _epoch in range(3):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=False):
            loss = nn.functional.cross_entropy(model(x[rows].to(device)), y[rows].to(device))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
print("loss", loss.item())
