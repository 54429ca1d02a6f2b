"""Two parameter groups with rates of their own."""

import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
head = nn.Linear(12, 2)
model = nn.Sequential(body, head)
optimizer = torch.optim.SGD(
    [{"params": body.parameters(), "lr": 0.01}, {"params": head.parameters()}], lr=0.1
)
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
for _ in range(3):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
