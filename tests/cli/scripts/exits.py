"""Ends by sys.exit with what its argument says: 0, 3, None, or a text."""

import ast
import atexit
import sys

import torch

atexit.register(print, "at exit")
model = torch.nn.Linear(3, 1)
torch.nn.init.ones_(model.weight)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(5):
    optimizer.zero_grad()
    loss = model(torch.ones(2, 3)).square().mean()
    loss.backward()
    optimizer.step()
print("trained", sys.argv)
sys.exit(ast.literal_eval(sys.argv[1]))
