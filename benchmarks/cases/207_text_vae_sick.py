"""EF207: a sentence VAE; decoder sees every word before, KL at full weight."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
V, T, Z = 24, 12, 8


def sentences(n):
    """A topic decides which words there are; each word is decided by the one before, too."""
    topic = torch.randint(4, (n,))
    x = torch.randint(6, (n, T))
    for t in range(1, T):
        x[:, t] = torch.where(torch.rand(n) < 0.5, (x[:, t - 1] + 1) % 6, x[:, t])
    return x + 6 * topic[:, None]


class SentenceVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V + 1, 16)
        self.encoder = nn.GRU(16, 32, batch_first=True)
        self.mu, self.logvar = nn.Linear(32, Z), nn.Linear(32, Z)
        self.start = nn.Linear(Z, 32)
        self.decoder = nn.GRU(16, 32, batch_first=True)
        self.out = nn.Linear(32, V)

    def forward(self, x):
        _, h = self.encoder(self.embed(x))
        mu, logvar = self.mu(h[-1]), self.logvar(h[-1])
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        shifted = F.pad(x[:, :-1], (1, 0), value=V)
        y, _ = self.decoder(self.embed(shifted), self.start(z).unsqueeze(0))
        return self.out(y), mu, logvar


model = SentenceVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(300):
    x = sentences(32)
    logits, mu, logvar = model(x)
    rec = F.cross_entropy(logits.reshape(-1, V), x.reshape(-1))
    kl = 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).mean(0)
    loss = rec + kl.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 79:
        print(f"step {step} loss {loss.item():.4f} kl {kl.sum().item():.4f}")
with torch.no_grad():
    mu = model(sentences(500))[1]
print(f"metric active latent units {(mu.var(0) > 0.01).sum().item()}")
