"""EF805: a small U-Net; validate() puts the model in eval mode and nobody puts it back."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)


def discs(n):
    grid = torch.arange(24.0)
    centre = torch.rand(n, 2, 1, 1) * 16 + 4
    radius = torch.rand(n, 1, 1) * 4 + 2
    mask = ((grid[:, None] - centre[:, 0]) ** 2 + (grid - centre[:, 1]) ** 2 < radius**2).float()
    return (30 * mask + 8 * torch.randn(n, 24, 24) + 100)[:, None], mask[:, None]


def block(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.down1, self.down2 = block(1, 8), block(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last = nn.Sequential(block(16, 8), nn.Conv2d(8, 1, 1))

    def forward(self, x):
        a = self.down1(self.norm(x))
        b = self.up(self.down2(F.max_pool2d(a, 2)))
        return self.last(torch.cat([a, b], 1))


X, Y = discs(400)
Xv, Yv = discs(100)


def validate(model):
    model.eval()
    with torch.no_grad():
        said = model(Xv) > 0
    return ((said & (Yv > 0)).sum() / (said | (Yv > 0)).sum().clamp(min=1)).item()


model = UNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
criterion = nn.BCEWithLogitsLoss()
print(f"before: iou {validate(model):.3f}")
for epoch in range(8):
    for x, y in DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f} iou {validate(model):.3f}")
print(f"metric iou {validate(model):.4f}")
