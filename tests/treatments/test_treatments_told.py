"""What a finding advises as a text can be passed on as it stands."""

from __future__ import annotations

import copy

import pytest
import torch

import evenflow
from tests.treatments.nets import make


@pytest.mark.parametrize("net", ["deep-sigmoid", "deep-relu"])
def test_treat_takes_what_findings_name(net: str) -> None:
    torch.manual_seed(0)
    model, x = make(net)
    if net == "deep-relu":
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(0.1)
    forecast = evenflow.preflight(model, x)
    texts = [t for f in forecast.findings for t in f.treatments]
    texts += [a.change for a in forecast.advice]
    assert texts and all(len(f.treatments) <= 3 for f in forecast.findings)
    assert "treatments" in forecast.findings[0].as_dict()
    for text in dict.fromkeys(texts):
        twin = copy.deepcopy(model)
        evenflow.treat_(twin, torch.optim.SGD(twin.parameters(), 0.1), text, x)
