"""Scripts that train, healthy ones and one for each fault that a check-up must find in a script."""

from __future__ import annotations

PERCEPTRON = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(2048, 12)
y = (x @ torch.randn(12, 4)).argmax(1)
model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, num_workers=2)
open("log.txt", "w").write("begun")
for epoch in range(100):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, loss.item())
    open("log.txt", "a").write("epoch")
"""

CONVOLUTION = """
import torch
from torch import nn
torch.manual_seed(1)
y = torch.arange(256) % 2
x = 0.5 * torch.randn(256, 1, 8, 8)
x[y == 1, :, :4] += 0.8
x[y == 0, :, 4:] += 0.8
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.1))
        self.head = nn.Linear(128, 1)
    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
loss_fn = nn.BCEWithLogitsLoss()
def train_step(xb, yb):
    optimizer.zero_grad()
    loss = loss_fn(net(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()
net.train()
for step in range(2000):
    rows = torch.randperm(256)[:32]
    train_step(x[rows], y[rows].float())
"""

TRANSFORMER = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(2)
text = torch.randint(2, (4096,))
for i in range(2, 4096):
    if i % 7:
        text[i] = (text[i - 1] + text[i - 2]) % 2 + 2 * (i % 3 == 0)
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(4, 32), nn.Embedding(12, 32)
        self.block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, 4)
    def forward(self, ids, targets):
        mask = nn.Transformer.generate_square_subsequent_mask(12)
        h = self.tokens(ids) + self.places(torch.arange(12))
        logits = self.head(self.block(h, src_mask=mask))
        return logits, F.cross_entropy(logits.view(-1, 4), targets.view(-1))
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(2000):
    at = torch.randint(4096 - 13, (16,))
    ids = torch.stack([text[i : i + 12] for i in at])
    targets = torch.stack([text[i + 1 : i + 13] for i in at])
    _, loss = model(ids, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
"""

PARTS = """
import torch
from torch import nn
torch.manual_seed(3)
x = torch.randn(512, 6)
y = x[:, 0] * x[:, 1] + x[:, 2].sin()
encoder, head = nn.Sequential(nn.Linear(6, 32), nn.Tanh()), nn.Linear(32, 1)
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-2)
for epoch in range(200):
    for part in torch.randperm(512).split(32):
        loss = ((head(encoder(x[part])).squeeze(1) - y[part]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""

HEALTHY = {
    "perceptron": PERCEPTRON,
    "convolution": CONVOLUTION,
    "transformer": TRANSFORMER,
    "parts": PARTS,
}

#: What is wrong -> the script, what to write for what, and the experiment that must fail.
SICK = {
    "detached": (PARTS, "head(encoder(x[part]))", "head(encoder(x[part]).detach())",
                 "right-gradient"),
    "labels-shuffled": (PERCEPTRON, "TensorDataset(x, y)",
                        "TensorDataset(x, y[torch.randperm(2048)])", "inputs-matter"),
    "blind": (PERCEPTRON, "model(xb)", "model(0 * xb)", "inputs-matter"),
    "uncleared": (CONVOLUTION, "optimizer.zero_grad()", "pass", "every-parameter"),
    "future": (TRANSFORMER, "src_mask=mask", "src_mask=None", "independence"),
    "mixed": (CONVOLUTION, "self.body(x)", "self.body(x) + self.body(x).mean(0)", "independence"),
    "rate-too-high": (PERCEPTRON, "lr=0.1", "lr=300.0", "rate-range"),
    "rate-too-low": (CONVOLUTION, "lr=3e-3", "lr=3e-6", "rate-range"),
    "unscaled": (PERCEPTRON, "model(xb)", "model(1000 * xb)", "data"),
    "eval-mode": (CONVOLUTION, "net.train()", "net.eval()", "every-parameter"),
}  # fmt: skip
