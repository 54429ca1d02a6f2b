"""Gradients of two micro-batches for each update."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(6, 12), nn.ELU(), nn.Linear(12, 12), nn.ELU(), nn.Linear(12, 2))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(3):
    for i, rows in enumerate(torch.randperm(64).split(8)):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows]) / 2
        loss.backward()
        if (i + 1) % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
print("loss", loss.item())
