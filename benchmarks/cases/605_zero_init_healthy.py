"""healthy, twin of EF605: weights start by Xavier's rule."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 8 - 0.6, dtype=torch.float32), torch.tensor(y)
order = torch.randperm(len(X))
a, b = order[:1400], order[1400:]


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 48), nn.Linear(48, 48), nn.Linear(48, 10)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


net = Perceptron()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(8):
    for i in range(0, 1400, 28):
        out = net(X[a[i : i + 28]])
        loss = F.cross_entropy(out, y[a[i : i + 28]])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print(f"metric accuracy {(net(X[b]).argmax(1) == y[b]).float().mean().item():.4f}")
