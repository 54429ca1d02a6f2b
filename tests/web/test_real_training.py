"""The page beside a real training in another process: it grows, and outlives its kill -9."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from .looking import latest

SCRIPT = """
import sys, time, torch, evenflow
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with evenflow.watch(model, optimizer, run=sys.argv[1], every=1):
    for step in range(100_000):
        optimizer.zero_grad()
        model(torch.randn(16, 8)).square().mean().backward()
        optimizer.step()
        if step == 0:
            print("begun", flush=True)
        time.sleep(0.02)
"""


def test_a_training_is_seen_while_it_runs_and_after_it_was_killed(
    page: Page, address: str, folder: Path
) -> None:
    command = (sys.executable, "-c", SCRIPT, str(folder / "real.evenflow"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None and training.stdout.readline() == "begun\n"
        page.goto(f"{address}#/run/real")
        # nothing of it may be in the file yet: the picture comes when something is
        expect(page.locator(".legend canvas")).to_be_visible(timeout=30_000)
        first = latest(page)
        for _ in range(200):
            if latest(page) > first + 5:
                break
            page.wait_for_timeout(100)
        seen = latest(page)
        assert seen > first + 5
        training.kill()
    page.wait_for_timeout(1000)
    expect(page.locator(".said")).not_to_contain_text("can no longer")
    page.reload()
    expect(page.locator(".legend canvas")).to_be_visible()
    assert latest(page) >= seen, "what was seen is in the file"
