"""Who unscaled the gradients is told rightly, also after a step that raised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import evenflow


@pytest.mark.parametrize("raises", [False, True])
def test_a_step_that_raised_is_not_taken_for_one_that_goes_on(tmp_path: Path, raises: bool) -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        for step in range(6):
            loss = net(torch.ones(8, 4)).square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            if raises and step == 2:
                fails = optimizer.register_step_pre_hook(lambda *_: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    scaler.step(optimizer)
                fails.remove()
                scaler.update()
                continue
            scaler.unscale_(optimizer)  # by the script: heard as its own
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    told = evenflow.load(watch.path).step("unscaled")
    assert told is not None and (told == 1.0).all() and len(told) >= 5
