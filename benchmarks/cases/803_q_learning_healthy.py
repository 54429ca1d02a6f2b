"""healthy, twin of EF803: deep Q-learning; the gathered values are squeezed."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
import copy

LENGTH = 8


def step(place, action):
    """A corridor: from the left end to the right one; each action slips one time in ten."""
    slip = torch.rand(len(place)) < 0.1
    move = torch.where(slip, 1 - action, action) * 2 - 1
    after = (place + move).clamp(0, LENGTH - 1)
    return after, (after == LENGTH - 1).float()


q_net = nn.Sequential(nn.Linear(LENGTH, 32), nn.ReLU(), nn.Linear(32, 2))
target_net = copy.deepcopy(q_net)
optimizer = torch.optim.Adam(q_net.parameters(), lr=3e-3)
for update in range(800):
    place = torch.randint(LENGTH - 1, (64,))
    action = torch.randint(2, (64,))
    after, reward = step(place, action)
    with torch.no_grad():
        best = target_net(F.one_hot(after, LENGTH).float()).max(1).values
        target = reward + 0.9 * (1 - reward) * best
    q = q_net(F.one_hot(place, LENGTH).float()).gather(1, action.unsqueeze(1)).squeeze(1)
    loss = ((q - target) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if update % 50 == 0:
        target_net.load_state_dict(q_net.state_dict())
    if update % 200 == 199:
        print(f"update {update} loss {loss.item():.4f}")
place = torch.zeros(300, dtype=torch.long)
reached = torch.zeros(300)
for _ in range(14):
    with torch.no_grad():
        action = q_net(F.one_hot(place, LENGTH).float()).argmax(1)
    place, reward = step(place, action)
    reached = torch.maximum(reached, reward)
print(f"metric reached {reached.mean().item():.4f}")
