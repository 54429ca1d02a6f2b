"""Evenflow in Python: watch a training, read the findings, write the report."""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

import evenflow

torch.manual_seed(0)
features, malignant = load_breast_cancer(return_X_y=True)
x = torch.tensor(features, dtype=torch.float32)  # not scaled: that is the fault
y = torch.tensor(malignant, dtype=torch.float32)[:, None]

model = nn.Sequential(nn.Linear(30, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

with evenflow.watch(model, optimizer, run="evenflow-runs/breast-cancer.evenflow") as watch:
    for _ in range(300):
        rows = torch.randint(len(x), (64,))
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

findings = watch.findings()
print(f"verdict: {evenflow.verdict(findings)}")
for finding in findings:
    print(f"{finding.severity.name} {finding.code} {finding.name}: {finding.message}")
print("report:", watch.report("evenflow-runs/breast-cancer.html"))
