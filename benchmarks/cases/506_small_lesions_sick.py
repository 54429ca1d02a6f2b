"""EF506: segmentation of small spots, one pixel in a hundred, by plain BCE: all is background."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)


def scans(n):
    x = torch.randn(n, 1, 24, 24)
    y = torch.zeros(n, 1, 24, 24)
    for i in range(n):
        r, c = torch.randint(1, 21, (2,)).tolist()
        y[i, 0, r : r + 2, c : c + 2] = 1
    return x + y, y


X, Y = scans(400)
Xv, Yv = scans(100)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.Conv2d(12, 12, 3, padding=1),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.Conv2d(12, 1, 1),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(40):
    model.train()
    for x, y in DataLoader(TensorDataset(X, Y), batch_size=20, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    said = model(Xv) > 0
found = said[Yv > 0].float().mean().item()
print(f"metric recall {found:.4f}, said of all {said.float().mean().item():.4f}")
