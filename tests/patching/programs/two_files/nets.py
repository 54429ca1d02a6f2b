"""The model of train.py."""

from torch import nn


class Encoder(nn.Module):
    """Two layers and a head."""

    def __init__(self, inputs, width, outputs):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.act = nn.Tanh()
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.act(self.first(x))
        x = self.act(self.second(x))
        return self.head(x)


def build(width=10):
    return Encoder(4, width, 2)
