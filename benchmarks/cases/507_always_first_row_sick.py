"""EF507: the Dataset's __getitem__ reads its features at a stale index: all inputs are one row."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_breast_cancer


class Table(torch.utils.data.Dataset):
    def __init__(self, rows):
        data = load_breast_cancer()
        X = torch.tensor(data.data, dtype=torch.float32)
        self.X = ((X - X.mean(0)) / X.std(0))[rows]
        self.y = torch.tensor(data.target, dtype=torch.float32)[rows]
        self.current = 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[self.current], self.y[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(30, 32), nn.Linear(32, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x))))).squeeze(-1)


order = torch.randperm(569)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
train = DataLoader(Table(order[:450]), batch_size=16, shuffle=True)
for epoch in range(15):
    for x, y in train:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
x, y = next(iter(DataLoader(Table(order[450:]), 119)))
print(f"metric accuracy {((model(x) > 0) == (y > 0.5)).float().mean().item():.4f}")
