"""healthy, twin of EF805: a Trainer evaluates after each epoch and sets the mode each time."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)


def sensors(n):
    y = torch.randint(4, (n,))
    t = torch.linspace(0, 1, 64)
    wave = torch.sin(6.28 * (torch.rand(n, 1) + t * (3.0 + 2 * y[:, None])))
    return 200 + 40 * (wave + 0.4 * torch.randn(n, 64)).unsqueeze(1), y


def unit(a, b):
    return nn.Sequential(nn.BatchNorm1d(a), nn.Conv1d(a, b, 5, stride=2), nn.ReLU())


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.loss_fn = nn.CrossEntropyLoss()

    def evaluate(self, loader):
        self.model.eval()
        with torch.no_grad():
            hits = [(self.model(x).argmax(1) == y).float().mean().item() for x, y in loader]
        return sum(hits) / len(hits)

    def train_epoch(self, loader):
        self.model.train()
        for x, y in loader:
            loss = self.loss_fn(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()

    def fit(self, train, val, epochs):
        for epoch in range(epochs):
            before = self.evaluate(val)
            print(f"epoch {epoch} accuracy {before:.3f} loss {self.train_epoch(train):.4f}")
        return self.evaluate(val)


net = nn.Sequential(
    unit(1, 8), unit(8, 16), unit(16, 16), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 4)
)
train = DataLoader(TensorDataset(*sensors(1200)), batch_size=30, shuffle=True)
val = DataLoader(TensorDataset(*sensors(300)), batch_size=100)
print(f"metric accuracy {Trainer(net, 0.02).fit(train, val, 8):.4f}")
