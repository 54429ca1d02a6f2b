"""EF507,EF501: windows of raw prices near 30,000: their differences are one part in a thousand."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
steps = 3000
drift = torch.zeros(steps)
for t in range(2, steps):
    drift[t] = 1.6 * drift[t - 1] - 0.7 * drift[t - 2] + torch.randn(()) * 0.5
price = 30_000 + 10 * drift
windows = price.unfold(0, 17, 1)
x, up = windows[:, :16], (windows[:, 16] > windows[:, 15]).float()
Xa, ya, Xb, yb = x[:2400], up[:2400], x[2400:], up[2400:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.gru(x.unsqueeze(-1))[0][:, -1]).squeeze(-1)


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    for xb, tb in DataLoader(TensorDataset(Xa, ya), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(xb), tb)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {((model(Xb) > 0) == (yb > 0.5)).float().mean().item():.4f}")
