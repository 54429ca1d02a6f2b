"""healthy, twin of EF209: a transformer encoder with positions of small variance."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
V, T, D = 16, 16, 32


def batch(n):
    """Which of the first two tokens shows up more often in the rest?"""
    x = torch.randint(V, (n, T))
    y = torch.randint(2, (n,))
    x[:, 1] = (x[:, 0] + 1 + torch.randint(V - 1, (n,))) % V
    for i in range(n):
        at = 2 + torch.randperm(T - 2)[:4]
        x[i, at] = x[i, y[i]].clone()
    return x, y


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(V, D)
        self.pos = nn.Parameter(0.1 * torch.randn(T, D))
        layer = nn.TransformerEncoderLayer(D, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, 2)

    def forward(self, x):
        return self.head(self.norm(self.body(self.tok(x) + self.pos)[:, 0]))


model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(500):
    x, y = batch(32)
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = batch(500)
    print(f"metric accuracy {(model(x).argmax(1) == y).float().mean().item():.4f}")
