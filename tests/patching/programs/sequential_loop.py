import torch
from torch import nn

torch.manual_seed(0)
DEPTH = 6

blocks = nn.Sequential()
for k in range(DEPTH):
    blocks.add_module(f"linear{k}", nn.Linear(10, 10))
    blocks.add_module(f"act{k}", nn.Sigmoid())
blocks.add_module("head", nn.Linear(10, 2))

x = torch.randn(80, 10)
y = (x[:, 0] > 0).long()
optimizer = torch.optim.Adam(blocks.parameters(), lr=1e-2)
for epoch in range(2):
    for rows in torch.randperm(80).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(blocks(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item()}")
