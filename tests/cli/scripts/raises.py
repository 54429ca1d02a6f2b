"""Raises while it trains: in its own code, in a backward, in a hook, or as a chain of errors."""

import sys

import torch


class Faulty(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        raise ValueError("a backward of the script's own failed")


def fail(how, model, x):
    if how == "own":
        raise RuntimeError("the data ended")
    if how == "backward":
        Faulty.apply(model(x)).sum().backward()
    if how == "shape":
        model(x[:, :2])
    if how == "chain":
        try:
            model(x[:, :2])
        except RuntimeError as error:
            raise LookupError("a batch of the wrong shape") from error


model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.ones(2, 3)
for step in range(6):
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()
    print("step", step)
    if step == 4:
        fail(sys.argv[1], model, x)
