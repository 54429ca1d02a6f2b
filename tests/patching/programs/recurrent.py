"""A recurrent classifier of short sequences."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(3, 8, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states[:, -1])


model = Tagger()
x = torch.randn(48, 12, 3)
y = (x[:, 0, 0] > 0).long()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _epoch in range(3):
    for rows in torch.randperm(48).split(16):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
print("loss", loss.item())
