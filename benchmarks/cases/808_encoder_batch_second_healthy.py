"""healthy, twin of EF808: (batch, time, features) to an encoder with batch_first=True."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)


def signals(n):
    """The class is how often the mark shows, whatever the place."""
    X = 0.3 * torch.randn(n, 12, 6)
    y = torch.randint(4, (n,))
    for i in range(n):
        X[i, torch.randperm(12)[: int(y[i]) + 1], 0] += 2.0
    return X, y


class Classifier(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.inp = nn.Linear(6, dim)
        self.place = nn.Parameter(0.02 * torch.randn(12, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        h = self.encoder(self.inp(x) + self.place)
        return self.head(h[:, 0])


X, y = signals(1500)
Xv, yv = signals(300)
model = Classifier()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(8):
    for xb, yb in DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(Xv).argmax(1) == yv).float().mean().item():.4f}")
