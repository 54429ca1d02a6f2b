"""Two models and two optimizers that take turns."""

import torch
from torch import nn

torch.manual_seed(3)
maker = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
judge = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
of_maker = torch.optim.Adam(maker.parameters(), lr=1e-3, betas=(0.5, 0.999))
of_judge = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
right = nn.BCEWithLogitsLoss()
for step in range(30):
    real = torch.randn(32, 2) * 0.5 + 1
    fake = maker(torch.randn(32, 4))
    of_judge.zero_grad()
    loss_judge = right(judge(real), torch.ones(32, 1)) + right(
        judge(fake.detach()), torch.zeros(32, 1)
    )
    loss_judge.backward()
    of_judge.step()
    of_maker.zero_grad()
    loss_maker = right(judge(fake), torch.ones(32, 1))
    loss_maker.backward()
    of_maker.step()
    print(step, loss_judge.item(), loss_maker.item())
