"""The usual shape: argparse, functions, a main guard; its model is pickled by reference."""

import argparse
import pickle

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.body(x))


def train(args):
    torch.manual_seed(args.seed)
    model = Net(args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    x = torch.randn(96, 8)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    for epoch in range(args.epochs):
        for i in range(0, 96, 32):
            loss = nn.functional.cross_entropy(model(x[i : i + 32]), y[i : i + 32])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = (model(x).argmax(1) == y).float().mean()
        model.train()
        print(f"epoch {epoch} loss {loss.item():.17g} accuracy {right.item():.4f}")
    return model


def main():
    parser = argparse.ArgumentParser(description="Trains a small net.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    model = train(parser.parse_args())
    again = pickle.loads(pickle.dumps(model))
    print(type(again).__module__, type(again) is Net, torch.rand(3).tolist())


if __name__ == "__main__":
    main()
