"""One of several optimizers, chosen by an if."""

import sys

import torch
from torch import nn


def main(name):
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(
        nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2)
    )
    if name == "adam":
        opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    elif name == "sgd":
        opt = torch.optim.SGD(model.parameters(), lr=1e-1)
    else:
        raise ValueError(name)
    for _ in range(3):
        for rows in torch.randperm(64).split(16):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            opt.step()
    print("loss", loss.item())


main(sys.argv[1] if len(sys.argv) > 1 else "sgd")
