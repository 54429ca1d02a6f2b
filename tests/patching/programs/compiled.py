"""A compiled model (by the backend that needs no compiler)."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 2))
model = torch.compile(net, backend="eager")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _epoch in range(2):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
