"""healthy, twin of EF208: a vision transformer with scaled attention."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 0.6, dtype=torch.float32), torch.tensor(y)
patches = X.view(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, 16, 4)
order = torch.randperm(len(X))
a, b = order[:1400], order[1400:]
D, HEADS = 64, 2


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)
        self.o = nn.Linear(D, D)

    def forward(self, x):
        B, T, _ = x.shape
        q, k, v = (f(x).view(B, T, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        logits = q @ k.transpose(-2, -1) / (D // HEADS) ** 0.5
        return self.o((logits.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2, self.attention = nn.LayerNorm(D), nn.LayerNorm(D), Attention()
        self.mlp = nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D))

    def forward(self, x):
        x = x + self.attention(self.n1(x))
        return x + self.mlp(self.n2(x))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, D)
        self.place = nn.Parameter(0.02 * torch.randn(16, D))
        self.blocks = nn.Sequential(Block(), Block(), Block())
        self.head = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, 10))

    def forward(self, x):
        return self.head(self.blocks(self.embed(x) + self.place).mean(1))


model = ViT()
rate = 1e-3
optimizer = torch.optim.Adam(model.parameters(), lr=rate)
for epoch in range(10):
    for rows in a[torch.randperm(len(a))].split(50):
        loss = F.cross_entropy(model(patches[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(patches[b]).argmax(1) == y[b]).float().mean().item():.4f}")
