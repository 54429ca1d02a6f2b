"""The activation is chosen by name from a dictionary of functions."""

import torch
import torch.nn.functional as F
from torch import nn

ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh}
FUNCTIONS = {"relu": F.relu, "gelu": F.gelu}


class Net(nn.Module):
    def __init__(self, act="tanh"):
        super().__init__()
        self.a = nn.Linear(6, 8)
        self.act = ACTS[act]()
        self.b = nn.Linear(8, 8)
        self.function = FUNCTIONS["gelu"]
        self.c = nn.Linear(8, 2)

    def forward(self, x):
        x = self.act(self.a(x))
        x = self.function(self.b(x))
        return self.c(x)


torch.manual_seed(0)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
x = torch.randn(64, 6)
y = (x[:, 0] > 0).long()
for _ in range(3):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
