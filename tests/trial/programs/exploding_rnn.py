"""A recurrent network over 200 steps whose recurrence amplifies: gradients explode through time.

Which of four frequencies does a noisy wave have? `--fixed`: a GRU, and clipping.
"""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()


def waves(n, seed):
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (n,), generator=rng)
    phase = 6.28 * torch.rand(n, 1, generator=rng)
    t = torch.arange(200.0)
    x = torch.sin(0.05 * 3.0 ** y[:, None] * t + phase)
    return (x + 0.1 * torch.randn(n, 200, generator=rng)).unsqueeze(-1), y


train_x, train_y = waves(1024, 1)
test_x, test_y = waves(512, 2)
torch.manual_seed(args.seed)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        if args.fixed:
            self.rnn = nn.GRU(1, 48, batch_first=True)
        else:
            self.rnn = nn.RNN(1, 48, batch_first=True)
            nn.init.normal_(self.rnn.weight_hh_l0, std=0.5)
        self.out = nn.Linear(48, 4)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states.mean(1))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(10):
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
        loss.backward()
        if args.fixed:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean()
    print(f"epoch {epoch + 1} loss {loss.item():.3f} acc {accuracy.item():.4f}")
