"""healthy, twin of EF102: a plain recurrent network, orthogonal weights, clipping at 1."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
T = 40


def batch(n):
    x = torch.rand(n, T, 1) - 0.5
    return x, x.mean(1) * 10


class VanillaRNN(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.wx = nn.Linear(1, hidden)
        self.wh = nn.Linear(hidden, hidden, bias=False)
        nn.init.orthogonal_(self.wh.weight)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h = torch.zeros(len(x), self.wh.in_features)
        for t in range(x.shape[1]):
            h = F.leaky_relu(self.wx(x[:, t]) + self.wh(h), 0.8)
        return self.out(h)


model = VanillaRNN()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(300):
    x, y = batch(32)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 60 == 59:
        print(f"step {step} loss {loss.item():.4f}")
print(f"metric loss {loss.item():.4f} (lower is better)")
