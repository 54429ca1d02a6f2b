"""Two models that play against each other, each with an optimizer."""

import torch
from torch import nn

torch.manual_seed(0)
gen = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
disc = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
opt_g = torch.optim.Adam(gen.parameters(), lr=1e-3)
opt_d = torch.optim.Adam(disc.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()
for _ in range(6):
    real = torch.randn(16, 2) + 3
    fake = gen(torch.randn(16, 4))
    opt_d.zero_grad()
    loss_d = bce(disc(real), torch.ones(16, 1)) + bce(disc(fake.detach()), torch.zeros(16, 1))
    loss_d.backward()
    opt_d.step()
    opt_g.zero_grad()
    loss_g = bce(disc(fake), torch.ones(16, 1))
    loss_g.backward()
    opt_g.step()
print("loss", loss_g.item())
