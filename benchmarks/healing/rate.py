"""A training on digits whose learning rate is far too high: python rate.py [--rate R] [--seed N].

The healthy twin has --rate 0.1. The last line tells the held-out accuracy; knows no Evenflow.
"""

import argparse

import torch
import torch.nn.functional as F
from outliers import data
from torch import nn


def train(seed: int, rate: float, schedule: str = "none", steps: int = 600) -> tuple[float, bool]:
    """Held-out accuracy, and whether all weights are finite."""
    x, y, x_test, y_test = data()
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9)
    scheduler = None
    if schedule == "lambda":
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 - 0.5 * t / steps)
    if schedule == "onecycle":
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
    for _ in range(steps):
        batch = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    with torch.no_grad():
        accuracy = float((net(x_test).argmax(1) == y_test).float().mean())
    return accuracy, all(bool(p.isfinite().all()) for p in net.parameters())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--schedule", choices=("none", "lambda", "onecycle"), default="none")
    args = parser.parse_args()
    accuracy, finite = train(args.seed, args.rate, args.schedule)
    print(f"finite {finite} acc {accuracy:.4f}")
