"""EF807: words are chosen by argmax and embedded again: the first network hears nothing."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
CODES, D = 8, 16
centres = 2 * torch.randn(CODES, D)


def batch(n):
    kind = torch.randint(CODES, (n,))
    return centres[kind] + 0.7 * torch.randn(n, D), kind


class Speaker(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(D, 32), nn.Tanh(), nn.Linear(32, CODES))

    def forward(self, x):
        return self.net(x)


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(CODES, 16)
        self.net = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, CODES))

    def forward(self, said):
        return self.net(said)


speaker, listener = Speaker(), Listener()
nn.init.normal_(speaker.net[2].weight, std=0.02)
params = [*speaker.parameters(), *listener.parameters()]
optimizer = torch.optim.Adam(params, lr=1e-2)
for step in range(700):
    x, kind = batch(64)
    words = listener.words(speaker(x).argmax(1))
    loss = F.cross_entropy(listener(words), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x, kind = batch(1000)
    said = listener(listener.words(speaker(x).argmax(1))).argmax(1)
print(f"metric accuracy {(said == kind).float().mean().item():.4f}")
