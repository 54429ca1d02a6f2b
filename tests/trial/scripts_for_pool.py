"""Small scripts for the tests of trials, as text: each trains, or fails to, in its own way."""

TRAIN = """
import torch
from torch import nn
{before}
x = torch.randn(64, 8)
y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 8), nn.{activation}(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for step in range({steps}):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    {within}
print("acc", (model(x).argmax(1) == y).float().mean().item())
{after}
"""


def training(
    before: str = "torch.manual_seed(3)",
    within: str = "",
    after: str = "",
    steps: int = 12,
    activation: str = "ReLU",
) -> str:
    return TRAIN.format(
        before=before, within=within, after=after, steps=steps, activation=activation
    )
