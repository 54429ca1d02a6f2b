"""Settings from a JSON file, passed on by name."""

import json
from pathlib import Path

import torch
from torch import nn

config = json.loads(Path(__file__).with_name("config.json").read_text())
torch.manual_seed(0)
x = torch.randn(64, 6)
y = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(
    nn.Linear(6, config["width"]),
    nn.ReLU(),
    nn.Linear(config["width"], 2),
)
optimizer = torch.optim.SGD(model.parameters(), **config["optimizer"])
for _ in range(config["epochs"]):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
