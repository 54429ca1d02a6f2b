"""Run as `python -m pkg.train`."""

import torch
from torch.nn import functional as F

from .model import Deep


def run():
    torch.manual_seed(0)
    x = torch.randn(48, 8)
    y = (x.mean(1) > 0).long()
    model = Deep()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    for _ in range(3):
        for rows in torch.randperm(48).split(12):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    print("loss", loss.item())


if __name__ == "__main__":
    run()
