"""Activations as methods of tensors."""

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 10)
        self.b = nn.Linear(10, 10)
        self.c = nn.Linear(10, 2)

    def forward(self, x):
        x = self.a(x).relu()
        x = torch.relu(self.b(x))
        return self.c(x)


model = Net()
x, y = torch.randn(48, 6), torch.randint(2, (48,))
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for _ in range(3):
    for rows in torch.randperm(48).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
