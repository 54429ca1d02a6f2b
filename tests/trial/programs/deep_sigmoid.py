"""Fifty layers of sigmoid on handwritten digits: the gradient dies on its way down."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int, default=50)
parser.add_argument("--width", type=int, default=128)
parser.add_argument("--activation", default="Sigmoid")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--lr", type=float, default=3e-4)
args = parser.parse_args()

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
train_x, train_y, test_x, test_y = x[:-500], y[:-500], x[-500:], y[-500:]

layers = [nn.Linear(64, args.width), getattr(nn, args.activation)()]
for _ in range(args.layers - 2):
    layers += [nn.Linear(args.width, args.width), getattr(nn, args.activation)()]
model = nn.Sequential(*layers, nn.Linear(args.width, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

for epoch in range(args.epochs):
    model.train()
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean()
    print(f"epoch {epoch + 1} loss {loss.item():.3f} acc {accuracy.item():.4f}")
