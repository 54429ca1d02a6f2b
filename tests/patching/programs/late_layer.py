"""A head that is put on after the optimizer was made."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model.append(nn.Linear(12, 2))
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
for _ in range(3):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
