"""healthy, twin of EF812: AdamW(weight_decay=0.02) on a copying GRU."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
V, T = 8, 6


class Seq2Seq(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(V + 1, 16)
        self.encoder = nn.GRU(16, hidden, batch_first=True)
        self.decoder = nn.GRU(16, hidden, batch_first=True)
        self.out = nn.Linear(hidden, V)

    def forward(self, source, target):
        _, state = self.encoder(self.embed(source))
        shifted = F.pad(target[:, :-1], (1, 0), value=V)
        return self.out(self.decoder(self.embed(shifted), state)[0])


model = Seq2Seq()
decay = 0.02
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=decay)
for step in range(500):
    x = torch.randint(V, (64, T))
    y = x.flip(1)
    loss = F.cross_entropy(model(x, y).transpose(1, 2), y)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x = torch.randint(V, (500, T))
    hit = model(x, x.flip(1)).argmax(-1) == x.flip(1)
print(f"metric accuracy {hit.float().mean().item():.4f}")
