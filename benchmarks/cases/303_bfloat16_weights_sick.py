"""EF303: the whole model in bfloat16 and Adam at a small rate: updates round to nothing."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_wine

X, y = load_wine(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32)
X, y = (X - X.mean(0)) / X.std(0), torch.tensor(y)
order = torch.randperm(len(X))
a, b = order[:130], order[130:]


class ResidualMLP(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.first = nn.Linear(13, dim)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU()) for _ in range(3)
        )
        self.last = nn.Linear(dim, 3)

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h)
        return self.last(h)


model = ResidualMLP().to(torch.bfloat16)
X = X.to(torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-5)
for epoch in range(150):
    for rows in a[torch.randperm(len(a))].split(26):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X[rows]), y[rows])
        loss.backward()
        optimizer.step()
    if epoch % 30 == 29:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[b]).argmax(1) == y[b]).float().mean().item():.4f}")
