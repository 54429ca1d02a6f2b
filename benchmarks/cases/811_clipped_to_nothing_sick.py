"""EF811: gradients clipped to a norm of .001 under plain SGD: updates stay tiny."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits
from torch.nn.utils import clip_grad_norm_

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 0.6, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(y)
order = torch.randperm(len(X))
a, b = order[:1400], order[1400:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.fc(x.flatten(1))


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(X[a], y[a]), batch_size=32, shuffle=True)
for epoch in range(10):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.001)
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[b]).argmax(1) == y[b]).float().mean().item():.4f}")
