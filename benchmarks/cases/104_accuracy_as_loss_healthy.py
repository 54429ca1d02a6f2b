"""healthy, twin of EF104: the loss is made of probabilities."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_breast_cancer

data = load_breast_cancer()
X = torch.tensor(data.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(data.target, dtype=torch.float32)
order = torch.randperm(569)
a, b = order[:450], order[450:]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(30, 20)
        self.output = nn.Linear(20, 1)

    def forward(self, x):
        return torch.sigmoid(self.output(torch.tanh(self.hidden(x)))).flatten()


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(25):
    for rows in a[torch.randperm(len(a))].split(25):
        said = model(X[rows])
        loss = F.mse_loss(said, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {((model(X[b]) > 0.5) == (y[b] > 0.5)).float().mean().item():.4f}")
