"""healthy, twin of EF801: a CNN that finds a disc's centre; optimizer.zero_grad() is called."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

torch.manual_seed(0)
torch.set_num_threads(1)


class Discs(torch.utils.data.Dataset):
    def __init__(self, n):
        grid = torch.arange(20.0)
        self.centre = torch.rand(n, 2) * 12 + 4
        away = (grid[:, None] - self.centre[:, :1, None]) ** 2
        away = away + (grid - self.centre[:, 1:, None]) ** 2
        self.images = ((away < 9).float() + 0.2 * torch.randn(n, 20, 20)).unsqueeze(1)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return {"image": self.images[i], "point": self.centre[i] / 10 - 1}


class KeypointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.Flatten()
        )
        self.regressor = nn.Linear(256, 2)

    def forward(self, x):
        return self.regressor(self.features(x))


def train_step(model, optimizer, batch):
    optimizer.zero_grad()
    loss = F.smooth_l1_loss(model(batch["image"]), batch["point"])
    loss.backward()
    optimizer.step()
    return loss.item()


model = KeypointNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
loader = DataLoader(Discs(1000), batch_size=25, shuffle=True)
for epoch in range(8):
    losses = [train_step(model, optimizer, batch) for batch in loader]
    print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f}")
test = Discs(200)
with torch.no_grad():
    off = (model(test.images) - test.centre / 10 + 1).abs().mean().item()
print(f"metric mean error {off:.4f} (lower is better)")
