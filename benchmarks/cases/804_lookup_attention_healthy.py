"""healthy, twin of EF804: attention over key-value pairs, softmax over the pairs."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
KEYS, VALUES, N = 12, 5, 6


def batch(n):
    """Pairs of key and value, and a key whose value is asked for."""
    keys = torch.rand(n, KEYS).argsort(1)[:, :N]
    values = torch.randint(VALUES, (n, N))
    asked = torch.randint(N, (n,))
    rows = torch.arange(n)
    return keys, values, keys[rows, asked], values[rows, asked]


class Lookup(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.key, self.value = nn.Embedding(KEYS, dim), nn.Embedding(VALUES, dim)
        self.query = nn.Linear(dim, dim)
        self.out = nn.Sequential(nn.Linear(2 * dim, 32), nn.ReLU(), nn.Linear(32, VALUES))

    def forward(self, keys, values, asked):
        memory = self.key(keys)
        q = self.query(self.key(asked))
        scores = torch.bmm(memory, q.unsqueeze(2))
        weights = torch.softmax(scores, dim=1)
        context = (weights * self.value(values)).sum(1)
        return self.out(torch.cat([context, q], 1))


model = Lookup()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(600):
    keys, values, asked, answer = batch(64)
    loss = F.cross_entropy(model(keys, values, asked), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    keys, values, asked, answer = batch(1000)
    hit = model(keys, values, asked).argmax(1) == answer
print(f"metric accuracy {hit.float().mean().item():.4f}")
