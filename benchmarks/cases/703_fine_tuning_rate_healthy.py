"""healthy, twin of EF703: a trained network is fine-tuned on new data at Adam's rate of 3e-4."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 0.6, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(y)
old, new = torch.nonzero(y < 7).flatten(), torch.nonzero(y >= 5).flatten()
backbone = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 64),
    nn.ReLU(),
)
model = nn.Sequential(backbone, nn.Linear(64, 10))


def train(rows, optimizer, epochs):
    for epoch in range(epochs):
        for part in rows[torch.randperm(len(rows))].split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X[part]), y[part])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")


train(old, torch.optim.Adam(model.parameters(), lr=1e-3), 3)
rate = 3e-4
new = new[torch.randperm(len(new))]
train(new[:600], torch.optim.Adam(model.parameters(), lr=rate), 10)
with torch.no_grad():
    hit = model(X[new[600:]]).argmax(1) == y[new[600:]]
print(f"metric accuracy {hit.float().mean().item():.4f}")
