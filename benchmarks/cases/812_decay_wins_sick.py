"""EF812: SGD with weight_decay=0.3 where 3e-4 was meant: the decay outweighs the gradient."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_classification

X, y = make_classification(3000, 20, n_informative=8, n_classes=4, class_sep=1.5, random_state=0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
X = (X - X.mean(0)) / X.std(0)
model = nn.Sequential(
    nn.Linear(20, 64),
    nn.GELU(),
    nn.Linear(64, 64),
    nn.GELU(),
    nn.Linear(64, 64),
    nn.GELU(),
    nn.Linear(64, 4),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.3)
train = DataLoader(TensorDataset(X[:2500], y[:2500]), batch_size=50, shuffle=True)


def train_one_epoch():
    total = 0.0
    for xb, yb in train:
        loss = F.cross_entropy(model(xb), yb)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    return total / 2500


for epoch in range(15):
    print(f"epoch {epoch} loss {train_one_epoch():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(X[2500:]).argmax(1) == y[2500:]).float().mean().item():.4f}")
