"""healthy, twin of EF701: multi-label tags, logits to BCEWithLogitsLoss."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import make_multilabel_classification

X, y = make_multilabel_classification(2000, 20, n_classes=6, n_labels=2, random_state=0)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.tags = nn.Linear(64, 6)

    def forward(self, x):
        return self.tags(self.body(x))


model = Tagger()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(10):
    for xb, yb in DataLoader(TensorDataset(X[:1600], y[:1600]), batch_size=40, shuffle=True):
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    said = model(X[1600:]) > 0  # a logit of 0 is even odds
true = y[1600:] > 0.5
print(f"metric exact match {(said == true).all(1).float().mean().item():.4f}")
