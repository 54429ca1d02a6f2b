"""healthy, twin of EF211: a mixture of experts with a top-1 router and a balancing loss."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
N_EXPERTS, D = 6, 16
maps = torch.randn(N_EXPERTS, D, 4)


def batch(n):
    """Six groups, each with a linear map of its own."""
    group = torch.randint(N_EXPERTS, (n,))
    x = torch.randn(n, D)
    x[:, :N_EXPERTS] += 3 * F.one_hot(group, N_EXPERTS)
    return x, torch.einsum("nd,ndk->nk", x, maps[group]) / 4


class MoE(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(D, N_EXPERTS)
        nn.init.normal_(self.router.weight, std=0.01)
        self.router.bias.data[2] = 1.0  # as a router may come out of its first steps
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(D, 16), nn.ReLU(), nn.Linear(16, 4)) for _ in range(N_EXPERTS)
        )

    def forward(self, x):
        probs = self.router(x).softmax(-1)
        weight, chosen = probs.max(-1)
        y = torch.zeros(len(x), 4)
        for i, expert in enumerate(self.experts):
            mine = chosen == i
            if mine.any():
                y[mine] = weight[mine, None] * expert(x[mine])
        load = F.one_hot(chosen, N_EXPERTS).float().mean(0)
        return y, load, N_EXPERTS * (load * probs.mean(0)).sum()


model = MoE()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(600):
    x, y = batch(64)
    said, load, balance = model(x)
    loss = F.mse_loss(said, y) + 0.1 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f} load {[round(v, 2) for v in load.tolist()]}")
with torch.no_grad():
    x, y = batch(1000)
    print(f"metric mse {F.mse_loss(model(x)[0], y).item():.4f} (lower is better)")
