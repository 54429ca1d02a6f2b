from torch import nn


class Deep(nn.Module):
    def __init__(self, layers=4, width=8):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.act = nn.ModuleList(nn.Tanh() for _ in range(layers))
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        for layer, act in zip(self.layers, self.act, strict=True):
            x = act(layer(x))
        return self.out(x)
