"""healthy, twin of EF407: features and labels were sorted together."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_classification

X, y = make_classification(500, 16, n_informative=10, class_sep=1.5, random_state=1)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
X = (X - X.mean(0)) / X.std(0)
order = X[:, 0].argsort()
X, y = X[order], y[order]
pick = torch.randperm(len(X))
Xa, ya, Xb, yb = X[pick[:350]], y[pick[:350]], X[pick[350:]], y[pick[350:]]
model = nn.Sequential(
    nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(100):
    model.train()
    for xb, tb in DataLoader(TensorDataset(Xa, ya), batch_size=32, shuffle=True):
        loss = loss_fn(model(xb), tb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 9:
        model.eval()
        with torch.no_grad():
            val = loss_fn(model(Xb), yb)
        print(f"epoch {epoch} train {loss.item():.4f} val {val.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(model(Xb).argmax(1) == yb).float().mean().item():.4f}")
