"""House prices in currency units from features in units of their own: nothing is scaled.

`--fixed`: inputs and targets standardised.
"""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()


def houses(n, seed):
    rng = torch.Generator().manual_seed(seed)
    area = 40 + 200 * torch.rand(n, generator=rng)
    year = 1900 + 120 * torch.rand(n, generator=rng)
    distance = 30_000 * torch.rand(n, generator=rng)
    crime = 0.01 * torch.rand(n, generator=rng)
    price = area * 3000 * (1 + (year - 1900) / 200) * torch.exp(-distance / 20_000)
    price = price * (1 - 30 * crime) + 10_000 * torch.randn(n, generator=rng)
    return torch.stack([area, year, distance, crime], 1), price[:, None]


train_x, train_y = houses(2000, 1)
test_x, test_y = houses(500, 2)
mean, std = 0.0, 1.0
if args.fixed:
    test_x = (test_x - train_x.mean(0)) / train_x.std(0)
    train_x = (train_x - train_x.mean(0)) / train_x.std(0)
    mean, std = train_y.mean(), train_y.std()
    train_y = (train_y - mean) / std

torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(40):
    for batch in torch.randperm(len(train_x)).split(50):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
with torch.no_grad():
    error = ((model(test_x) * std + mean - test_y) ** 2).mean()
print(f"R2 {1 - (error / test_y.var()).item():.4f}")
