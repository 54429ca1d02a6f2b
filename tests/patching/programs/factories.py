"""Functions make the model and the optimizer, by names from a dictionary."""

import itertools

import torch
import torch.nn as nn

CONFIG = {"act": "Tanh", "opt": "SGD", "opt_args": {"lr": 0.05}, "widths": [6, 10, 10, 2]}


def build_model(config):
    act = getattr(nn, config["act"])
    widths = config["widths"]
    layers = []
    for a, b in itertools.pairwise(widths):
        layers.extend([nn.Linear(a, b), act()])
    return nn.Sequential(*layers[:-1])


def build_optimizer(parameters, config):
    return getattr(torch.optim, config["opt"])(parameters, **config["opt_args"])


def train(config):
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    y = (x[:, 0] > 0).long()
    model = build_model(config)
    optimizer = build_optimizer(model.parameters(), config)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(3):
        for rows in torch.randperm(64).split(16):
            optimizer.zero_grad()
            loss = loss_fn(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
    return loss.item()


if __name__ == "__main__":
    print("loss", train(CONFIG))
