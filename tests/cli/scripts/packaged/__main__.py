"""Run as `python -m packaged`: relative imports, a spec of its own."""

import sys

import torch

from .model import build

print(__name__, __package__, __spec__.name, sys.argv[1:], sys.path[0] != "")
torch.manual_seed(1)
model = build()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
x = torch.randn(32, 4)
y = x.sum(1, keepdim=True)
for _ in range(int(sys.argv[1])):
    optimizer.zero_grad()
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    print(loss.item())
