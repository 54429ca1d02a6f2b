"""healthy, twin of EF103: a policy's entropy from clamped probabilities."""

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
ACTIONS = 6
truth = torch.randn(8, ACTIONS)


def play(n):
    state = torch.randn(n, 8)
    allowed = torch.rand(n, ACTIONS) < 0.6
    allowed[torch.arange(n), torch.randint(ACTIONS, (n,))] = True
    return state, allowed, (state @ truth)


policy = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, ACTIONS))
optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
for step in range(500):
    state, allowed, worth = play(64)
    logits = policy(state).masked_fill(~allowed, float("-inf"))
    p = torch.softmax(logits, -1)
    action = torch.multinomial(p.detach().nan_to_num(1.0), 1).squeeze(1)
    reward = worth.gather(1, action[:, None]).squeeze(1)
    baseline = (p.detach() * worth).sum(1)
    log_p = torch.log(p.gather(1, action[:, None]).squeeze(1))
    entropy = -(p * torch.log(p.clamp(min=1e-8))).sum(-1).mean()
    loss = -(log_p * (reward - baseline)).mean() - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f} reward {reward.mean().item():.4f}")
with torch.no_grad():
    state, allowed, worth = play(1000)
    best = policy(state).masked_fill(~allowed, float("-inf")).argmax(1)
print(f"metric reward {worth.gather(1, best[:, None]).mean().item():.4f}")
