"""healthy, twin of EF809: a next-word model whose LSTM runs forward alone."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
V, T = 15, 20


def walks(n):
    """A walk on a ring: on by one or by two, one time in six anywhere."""
    x = torch.randint(V, (n, T))
    for t in range(1, T):
        on = (x[:, t - 1] + torch.where(x[:, max(t - 2, 0)] % 2 == 0, 1, 2)) % V
        x[:, t] = torch.where(torch.rand(n) < 0.83, on, x[:, t])
    return x


class WordModel(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(V, 16)
        self.lstm = nn.LSTM(16, hidden, batch_first=True)
        self.out = nn.Linear(hidden, V)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0])


model = WordModel()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
data = walks(1500)
for epoch in range(6):
    for (x,) in DataLoader(TensorDataset(data), batch_size=25, shuffle=True):
        optimizer.zero_grad()
        logits = model(x[:, :-1])
        loss = F.cross_entropy(logits.transpose(1, 2), x[:, 1:])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
x = walks(300)
hits = []
with torch.no_grad():
    for t in range(3, T):
        hits.append((model(x[:, :t])[:, -1].argmax(1) == x[:, t]).float())
print(f"metric next word {torch.stack(hits).mean().item():.4f}")
