"""Settings from a TOML file, and a schedule."""

import pathlib

import torch
from torch import nn

lines = pathlib.Path(__file__).with_name("settings.toml").read_text().splitlines()
settings = dict(line.split(" = ") for line in lines)
torch.manual_seed(0)
x = torch.randn(64, 8)
y = (x[:, 0] > 0).long()
modules = []
for _ in range(int(settings["layers"])):
    modules.append(nn.Linear(8, 8))
    modules.append(nn.Tanh())
modules.append(nn.Linear(8, 2))
model = nn.Sequential(*modules)
optimizer = torch.optim.Adam(model.parameters(), lr=float(settings["lr"]))
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
for _ in range(3):
    for rows in torch.randperm(64).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    scheduler.step()
print("loss", loss.item())
