"""A classifier that ends with a softmax, under a loss that has one of its own.

`--fixed`: raw scores go into the loss.
"""

import argparse

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
    torch.tensor(digits.data / 16, dtype=torch.float32),
    torch.tensor(digits.target),
    test_size=500,
    random_state=0,
)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(30):
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        scores = model(train_x[batch])
        if not args.fixed:
            scores = scores.softmax(1)
        loss = nn.functional.cross_entropy(scores, train_y[batch])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean()
    print(f"epoch {epoch + 1} loss {loss.item():.3f} acc {accuracy.item():.4f}")
