"""An LSTM over a sine, many to one."""

import torch
from torch import nn

torch.manual_seed(0)


class Forecaster(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.out(h[-1])


t = torch.arange(64.0)
series = torch.sin(0.3 * t)
x = series.unfold(0, 10, 1)[:-1].unsqueeze(-1)
y = series[10:].unsqueeze(-1)
model = Forecaster()
opt = torch.optim.Adam(model.parameters(), lr=0.01)
for _epoch in range(4):
    for rows in torch.randperm(len(x)).split(18):
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        loss.backward()
        opt.step()
print("mse", loss.item())
