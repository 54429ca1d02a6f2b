"""A trainer that owns model, optimizer and loop."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, width: int = 12):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(6, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.body(x))


class Trainer:
    def __init__(self, lr: float):
        self.model = Net()
        # Adam has been fine so far
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)

    def fit(self, x, y, epochs):
        for _ in range(epochs):
            self.model.train()
            for rows in torch.randperm(len(x)).split(16):
                self.step(x[rows], y[rows])

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


if __name__ == "__main__":
    torch.manual_seed(1)
    data = torch.randn(64, 6)
    labels = data[:, :3].argmax(1)
    trainer = Trainer(lr=1e-2)
    trainer.fit(data, labels, epochs=3)
    print("acc", (trainer.model(data).argmax(1) == labels).float().mean().item())
