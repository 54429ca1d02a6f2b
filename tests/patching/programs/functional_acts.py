"""Activations as functions, a different one at the output."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 16)
        self.fc2 = nn.Linear(16, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))  # as wide as its input
        return torch.sigmoid(self.out(x))


x = torch.randn(80, 5)
y = (x.sum(1, keepdim=True) > 0).float()
net = Net()
opt = torch.optim.SGD(net.parameters(), 0.5)
for _epoch in range(2):
    for rows in torch.randperm(len(x)).split(20):
        opt.zero_grad()
        loss = F.binary_cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        opt.step()
print("loss", loss.item())
