"""Settings from the command line; everything in main()."""

import argparse

import torch
from torch import nn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()

    torch.manual_seed(0)
    x = torch.randn(96, 8)
    y = (x[:, 0] > 0).long()

    layers: list[nn.Module] = []
    for _ in range(args.depth):
        layers += [nn.Linear(8, 8), nn.Sigmoid()]  # narrow on purpose
    model = nn.Sequential(*layers, nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for _epoch in range(2):
        for rows in torch.randperm(len(x)).split(16):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"acc {(model(x).argmax(1) == y).float().mean().item():.4f} loss {loss.item()}")


if __name__ == "__main__":
    main()
