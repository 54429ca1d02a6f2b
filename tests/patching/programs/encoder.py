"""torch's own transformer encoder, and a moving average of the weights."""

import copy

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=16, layers=2):
        super().__init__()
        self.rows = nn.Linear(4, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        return self.out(self.encoder(self.rows(x)).mean(1))


torch.manual_seed(0)
model = Net()
average = copy.deepcopy(model).requires_grad_(False)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x = torch.randn(48, 5, 4)
y = (x.mean((1, 2)) > 0).long()
for _epoch in range(3):
    for rows in torch.randperm(48).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        for old, new in zip(average.parameters(), model.parameters(), strict=True):
            old.lerp_(new, 0.1)
print("loss", loss.item())
