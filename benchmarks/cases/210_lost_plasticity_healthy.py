"""healthy, twin of EF210: one task after another at a rate that keeps the units in use."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
model = nn.Sequential(
    nn.Linear(64, 100),
    nn.ReLU(),
    nn.Linear(100, 100),
    nn.ReLU(),
    nn.Linear(100, 100),
    nn.ReLU(),
    nn.Linear(100, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for task in range(15):
    pixels = torch.randperm(64)
    Xt = X[:, pixels]
    hits = []
    for _ in range(2):
        for rows in torch.randperm(len(X)).split(32):
            logits = model(Xt[rows])
            loss = F.cross_entropy(logits, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            hits.append((logits.argmax(1) == y[rows]).float().mean().item())
    if task % 2 == 1:
        print(f"task {task} online accuracy {sum(hits[-30:]) / 30:.4f} loss {loss.item():.4f}")
print(f"metric accuracy {sum(hits[-50:]) / 50:.4f}")
