"""Trains until it is interrupted."""

import sys
import time

import torch

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(100_000):
    optimizer.zero_grad()
    model(torch.ones(4, 2)).square().mean().backward()
    optimizer.step()
    if step == 40:
        print("trained", flush=True)
    if step > 40:
        time.sleep(0.01)
sys.exit("was never interrupted")
