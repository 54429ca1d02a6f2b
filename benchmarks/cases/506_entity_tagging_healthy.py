"""healthy, twin of EF506: tagging names in text, with class weights."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
V, T = 300, 30


def sentences(n):
    """A word from 0 to 39 is a name when a title (40 to 59) stands right before it."""
    x = torch.randint(60, V, (n, T))
    y = torch.zeros(n, T, dtype=torch.long)
    for i in range(n):
        x[i, torch.randint(T, (5,))] = torch.randint(40, (5,))
        if torch.rand(()) < 0.4:
            at = int(torch.randint(T - 1, ()))
            x[i, at], x[i, at + 1] = torch.randint(40, 60, ()), torch.randint(40, ())
            y[i, at + 1] = 1 + x[i, at] % 2
    return x, y


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, 16)
        self.lstm = nn.LSTM(16, 24, batch_first=True, bidirectional=True)
        self.out = nn.Linear(48, 3)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0])


X, Y = sentences(1000)
Xv, Yv = sentences(300)
weight = torch.tensor([1.0, 60.0, 60.0])
criterion = nn.CrossEntropyLoss(weight=weight)
model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(6):
    for x, y in DataLoader(TensorDataset(X, Y), batch_size=25, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x).transpose(1, 2), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    said = model(Xv).argmax(-1)
print(f"metric recall {(said == Yv)[Yv > 0].float().mean().item():.4f}")
