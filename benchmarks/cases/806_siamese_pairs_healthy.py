"""healthy, twin of EF806: a siamese network with BatchNorm, thirty-two triplets at a time."""

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 0.6, dtype=torch.float32), torch.tensor(y)
net = nn.Sequential(
    nn.Linear(64, 64),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.BatchNorm1d(64),
    nn.ReLU(),
    nn.Linear(64, 16),
)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
criterion = nn.TripletMarginLoss(margin=1.0)
B = 32
groups = [torch.nonzero(y[:1400] == c).flatten() for c in range(10)]


def pick(classes):
    return torch.stack([groups[c][torch.randint(len(groups[c]), ())] for c in classes.tolist()])


steps = 250
for i in range(steps):
    c = torch.randint(10, (B,))
    other = (c + torch.randint(1, 10, (B,))) % 10
    anchor, positive, negative = net(X[pick(c)]), net(X[pick(c)]), net(X[pick(other)])
    loss = criterion(anchor, positive, negative)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if i % 100 == 99:
        print(f"step {i} loss {loss.item():.4f}")
net.eval()
with torch.no_grad():
    known, new = net(X[:1400]), net(X[1400:])
    nearest = torch.cdist(new, known).argmin(1)
print(f"metric nearest neighbour {(y[:1400][nearest] == y[1400:]).float().mean().item():.4f}")
