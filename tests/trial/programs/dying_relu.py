"""A rectifier network on raw pixels at a rate that kills its units within the first epoch.

`--fixed`: pixels scaled to [0, 1], and a quarter of the rate.
"""

import argparse
import itertools

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()

torch.manual_seed(args.seed)
digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(
    torch.tensor(digits.data / (16 if args.fixed else 1), dtype=torch.float32),
    torch.tensor(digits.target),
    test_size=500,
    random_state=0,
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [64, 64, 64, 64, 64]
        pairs = itertools.pairwise(sizes)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


model = Net()
rate = 0.05 if args.fixed else 0.2
optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
for epoch in range(20):
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean()
    print(f"epoch {epoch + 1} loss {loss.item():.3f} acc {accuracy.item():.4f}")
