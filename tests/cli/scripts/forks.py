"""A forked child that leaves by sys.exit, and a thread that trains after main has ended."""

import os
import sys
import threading
import time

import torch

model = torch.nn.Linear(2, 1)
torch.nn.init.ones_(model.weight)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train():
    time.sleep(0.3)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    print("thread done", flush=True)


sys.stdout.flush()
child = os.fork()
if child == 0:
    print("child", flush=True)
    sys.exit(5)
print("child left", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
threading.Thread(target=train).start()
print("main done", flush=True)
