#!/usr/bin/env python

# %% [markdown]
# # Training a small net

# %%
try:
    get_ipython().run_line_magic("matplotlib", "inline")
except NameError:
    pass
import torch
import torch.nn as nn

# %%
torch.manual_seed(42)
X = torch.rand(60, 4) * 100
t = X @ torch.tensor([[1.0], [2.0], [-1.0], [0.5]])

# %%
net = nn.Sequential(
    nn.Linear(4, 16),
    nn.Tanh(),
    nn.Linear(16, 16),
    nn.Tanh(),
    nn.Linear(16, 1),
)
net  # noqa: B018

# %%
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
mse = nn.MSELoss()

# %%
history = []
for _epoch in range(4):
    for rows in torch.randperm(60).split(20):
        optimizer.zero_grad()
        loss = mse(net(X[rows]), t[rows])
        loss.backward()
        optimizer.step()
        history.append(loss.item())
print("loss", history[-1])
