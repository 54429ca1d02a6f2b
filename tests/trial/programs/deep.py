"""Fifty plain layers on handwritten digits: without skips or norms the gradient does not arrive.

`--fixed` is a known good fix: centred LSUV for sigmoid, orthogonal weights for tanh, residual
branches that start at zero for ReLU.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int, default=50)
parser.add_argument("--width", type=int, default=128)
parser.add_argument("--activation", default="Sigmoid")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--lr", type=float, default=3e-4)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()

torch.manual_seed(args.seed)
digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
train_x, test_x, train_y, test_y = train_test_split(
    images, torch.tensor(digits.target), test_size=500, random_state=0
)


class Skip(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers, self.alpha = nn.Sequential(*layers), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.alpha * self.layers(x)


activation = getattr(nn, args.activation)
layers = [nn.Linear(64, args.width), activation()]
for _ in range(args.layers - 2):
    block = (nn.Linear(args.width, args.width), activation())
    layers += [Skip(*block)] if args.fixed and args.activation == "ReLU" else block
model = nn.Sequential(*layers, nn.Linear(args.width, 10))
if args.fixed and args.activation != "ReLU":
    h = train_x[:512]
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight)
                nn.init.zeros_(layer.bias)
                if args.activation == "Sigmoid":
                    z = layer(h)
                    layer.weight /= z.std(0, keepdim=True).T
                    layer.bias -= layer(h).mean(0)
            h = layer(h)
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
