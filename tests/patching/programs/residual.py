"""Residual blocks."""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(width, width)

    def forward(self, x):
        return x + self.fc2(self.act(self.fc1(x)))


class ResNet(nn.Module):
    def __init__(self, width=10, blocks=3):
        super().__init__()
        self.inp = nn.Linear(5, width)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        return self.out(self.blocks(self.inp(x)))


def main(lr=0.05):
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    y = (x[:, 0] > 0).long()
    model = ResNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(3):
        for rows in torch.randperm(64).split(16):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
    print("loss", loss.item())


if __name__ == "__main__":
    main()
