"""A ReLU perceptron whose hidden units are all off: python dying.py [--bias B] [--seed N].

The healthy twin has --bias 0. The last line tells the held-out accuracy; knows no Evenflow.
"""

import argparse

import torch
import torch.nn.functional as F
from outliers import data
from torch import nn


def train(seed: int, bias: float, steps: int = 600) -> tuple[float, bool]:
    """Held-out accuracy, and whether all weights are finite."""
    x, y, x_test, y_test = data()
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    with torch.no_grad():
        net[0].bias.fill_(bias)
        net[2].bias.fill_(bias)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        batch = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = float((net(x_test).argmax(1) == y_test).float().mean())
    return accuracy, all(bool(p.isfinite().all()) for p in net.parameters())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bias", type=float, default=-5.0)
    args = parser.parse_args()
    accuracy, finite = train(args.seed, args.bias)
    print(f"finite {finite} acc {accuracy:.4f}")
