"""EF802: an autoencoder's loop says optimizer.step, without the parentheses."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

images = torch.tensor(load_digits().images / 16, dtype=torch.float32).unsqueeze(1)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 12)
        )
        self.decode = nn.Sequential(
            nn.Linear(12, 128),
            nn.ReLU(),
            nn.Unflatten(1, (8, 4, 4)),
            nn.ConvTranspose2d(8, 1, 2, stride=2),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decode(self.encode(x))


model = AutoEncoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loader = DataLoader(images, batch_size=32, shuffle=True)
for epoch in range(8):
    for x in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        optimizer.step
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric mse {F.mse_loss(model(images), images).item():.4f} (lower is better)")
