"""healthy, twin of EF807: the loss as it came out of the criterion."""

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)


def series(n):
    """How often does each signal swing?"""
    rate = torch.rand(n, 1) * 2 + 0.5
    t = torch.linspace(0, 6.28, 30)
    return torch.sin(rate * t + 6.28 * torch.rand(n, 1)) + 0.1 * torch.randn(n, 30), rate


class Swing(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.fc = nn.Linear(24, 1)

    def forward(self, x):
        out, _ = self.gru(x.unsqueeze(-1))
        return self.fc(out[:, -1])


model = Swing()
criterion = nn.L1Loss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(400):
    x, y = series(32)
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 79:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = series(500)
    print(f"metric mae {criterion(model(x), y).item():.4f} (lower is better)")
