"""Layers in a ModuleList, one function between them."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(12, 12) for _ in range(4))
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.out(x)


torch.manual_seed(7)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
x = torch.randn(64, 12)
y = x[:, :3].argmax(1)
for _epoch in range(3):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
print("acc", (model(x).argmax(1) == y).float().mean().item())
