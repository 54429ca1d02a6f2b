"""EF810: sixteen small batches are accumulated, each with its whole loss, at the rate for one."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 0.6, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(y)
order = torch.randperm(len(X))
a, b = order[:1400], order[1400:]


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    Residual(16),
    Residual(16),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
accum_iter = 16
loader = DataLoader(TensorDataset(X[a], y[a]), batch_size=4, shuffle=True)
for epoch in range(4):
    for batch_idx, (inputs, labels) in enumerate(loader):
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        if (batch_idx + 1) % accum_iter == 0 or batch_idx + 1 == len(loader):
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[b]).argmax(1) == y[b]).float().mean().item():.4f}")
