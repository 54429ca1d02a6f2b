"""EF804: nn.LogSoftmax(dim=0) at the end: the samples of a batch compete, not the classes."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 1, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(y)
order = torch.randperm(len(X))
a, b = order[:1400], order[1400:]
body = nn.Sequential(
    nn.Conv2d(1, 16, 3),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(256, 10),
)
model = nn.Sequential(body, nn.LogSoftmax(dim=0))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.NLLLoss()
for epoch in range(8):
    for x, t in DataLoader(TensorDataset(X[a], y[a]), batch_size=40, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    said = torch.cat([model(x[None]).argmax(1) for x in X[b]])  # one at a time, as it is used
    print(f"metric accuracy {(said == y[b]).float().mean().item():.4f}")
