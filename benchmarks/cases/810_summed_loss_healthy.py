"""healthy, twin of EF810: the forecaster's loss is a mean."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
t = torch.arange(0, 400, 0.1)
series = torch.sin(t) + 0.5 * torch.sin(2.3 * t) + 0.05 * torch.randn(len(t))
windows = series.unfold(0, 25, 1)
X, y = windows[:, :-1], windows[:, -1]
X, y, Xv, yv = X[:3000], y[:3000], X[3000:], y[3000:]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 5)
        self.conv2 = nn.Conv1d(16, 16, 5)
        self.fc = nn.Linear(16 * 16, 1)

    def forward(self, x):
        h = F.relu(self.conv2(F.relu(self.conv1(x.unsqueeze(1)))))
        return self.fc(h.flatten(1)).squeeze(1)


model = Forecaster()
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True, drop_last=True)
for epoch in range(8):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric mse {F.mse_loss(model(Xv), yv).item():.4f} (lower is better)")
