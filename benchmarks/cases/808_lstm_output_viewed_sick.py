"""EF808: an LSTM's output (time, batch, hidden) is made (batch, time, hidden) by view()."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
T = 16


def motions(n):
    """Three kinds of motion, told apart by their shape in time."""
    y = torch.randint(3, (n,))
    t = torch.linspace(0, 1, T)
    rise, bump, swing = t, 1 - (2 * t - 1).abs(), 0.5 + 0.5 * torch.sin(12 * t)
    x = torch.stack([rise, bump, swing])[y].unsqueeze(-1) + 0.25 * torch.randn(n, T, 3)
    return x, y


class MotionNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 32)
        self.fc = nn.Linear(32, 3)

    def forward(self, x):
        out, _ = self.lstm(x.transpose(0, 1))
        out = out.contiguous().view(x.shape[0], x.shape[1], -1)
        return self.fc(out[:, -1])


X, y = motions(1200)
Xv, yv = motions(300)
model = MotionNet()
optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(10):
    total, hits = 0.0, 0
    for xb, yb in DataLoader(TensorDataset(X, y), batch_size=40, shuffle=True):
        logits = model(xb)
        loss = criterion(logits, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        hits += (logits.argmax(1) == yb).sum().item()
    print(f"epoch {epoch} loss {total / 30:.4f} accuracy {hits / 1200:.3f}")
with torch.no_grad():
    print(f"metric accuracy {(model(Xv).argmax(1) == yv).float().mean().item():.4f}")
