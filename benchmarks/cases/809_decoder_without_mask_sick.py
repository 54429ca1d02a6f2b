"""EF809: a small GPT; the attention is given no causal mask, so each position sees its target."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
V, T, D = 12, 24, 32


def sequences(n):
    """Each token is the sum of the two before it, modulo V, but for one in eight."""
    x = torch.randint(V, (n, T + 1))
    for t in range(2, T + 1):
        keep = torch.rand(n) < 0.875
        x[:, t] = torch.where(keep, (x[:, t - 1] + x[:, t - 2]) % V, x[:, t])
    return x


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))

    def forward(self, x):
        B, S, _ = x.shape
        q, k, v = self.qkv(self.n1(x)).view(B, S, 3, 4, D // 4).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(B, S, D))
        return x + self.mlp(self.n2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, D), nn.Embedding(T, D)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, V, bias=False)

    def forward(self, x):
        h = self.tok(x) + self.pos(torch.arange(x.shape[1]))
        return self.head(self.norm(self.blocks(h)))


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(500):
    x = sequences(16)
    logits = model(x[:, :-1])
    loss = F.cross_entropy(logits.reshape(-1, V), x[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f}")
hits = []
with torch.no_grad():
    x = sequences(100)
    for t in range(4, T):
        hits.append((model(x[:, :t])[:, -1].argmax(1) == (x[:, t - 1] + x[:, t - 2]) % V).float())
print(f"metric next_token {torch.stack(hits).mean().item():.4f}")
