"""Twelve transformer layers with LayerNorm after each block, at full rate from the first step.

Handwritten digits as eight rows of eight pixels. `--fixed`: half the rate, after a warm-up over the
first 60 steps.
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
    torch.tensor(digits.images / 16, dtype=torch.float32),
    torch.tensor(digits.target),
    test_size=500,
    random_state=0,
)


class Net(nn.Module):
    def __init__(self, width=48, layers=12):
        super().__init__()
        self.rows = nn.Linear(8, width)
        self.places = nn.Parameter(0.02 * torch.randn(8, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        return self.out(self.encoder(self.rows(x) + self.places).mean(1))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1.5e-3 if args.fixed else 3e-3)
ramp = 60 if args.fixed else 1
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / ramp))
for epoch in range(12):
    model.train()
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
        warmup.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean()
    print(f"epoch {epoch + 1} loss {loss.item():.3f} acc {accuracy.item():.4f}", flush=True)
