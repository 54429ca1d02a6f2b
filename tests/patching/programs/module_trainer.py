"""A module that knows its own training step and optimizer, and a plain trainer."""

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, lr=0.1):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.net(x))

    def training_step(self, batch):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Trainer:
    def __init__(self, epochs):
        self.epochs = epochs

    def fit(self, module, data):
        self.optimizer = module.configure_optimizers()
        for _ in range(self.epochs):
            for batch in data():
                self.optimizer.zero_grad()
                loss = module.training_step(batch)
                loss.backward()
                self.optimizer.step()
        return loss.item()


torch.manual_seed(0)
x = torch.randn(64, 4)
y = (x[:, 0] > x[:, 3]).long()


def batches():
    for rows in torch.randperm(64).split(16):
        yield x[rows], y[rows]


print("loss", Trainer(3).fit(Classifier(), batches))
