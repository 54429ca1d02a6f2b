"""`evenflow checkup`: what it says, writes, leaves alone, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from programs import EVENFLOW, evenflow

from patience import HANG

#: Labels do not lie in the inputs' rows; and gradients are never cleared.
SICK = """
import sys
import torch
from torch import nn
torch.manual_seed(int(sys.argv[1]))
x, y = torch.randn(512, 6), torch.randint(3, (512,))
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(500):
    open("log.txt", "a").write("step ")
    b = torch.randint(512, (32,))
    nn.functional.cross_entropy(model(x[b]), y[b]).backward()
    optimizer.step()
    print("step", step)
"""


def test_a_sick_script_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SICK)
    done = evenflow(
        tmp_path, "checkup", "--json", "--out", "page.html", "--seconds", "120", "train.py", "7"
    )
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["subject"], told["verdict"]) == ("train.py", "sick")
    of = {e["name"]: e for e in told["experiments"]}
    assert len(of) == 9
    assert (of["every-parameter"]["status"], of["every-parameter"]["code"]) == ("failed", "EF801")
    assert of["right-gradient"]["status"] == "passed"
    assert "Gradients of earlier steps are still there" in done.stderr
    assert "step 1" not in done.stdout + done.stderr  # what it prints goes nowhere
    page = (tmp_path / "page.html").read_text()
    assert 'content="Evenflow"' in page and "zero_grad" in page
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "train.py"]


def test_a_script_that_fails_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch\nraise SystemError('there are no data')")
    done = evenflow(tmp_path, "checkup", "train.py")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == "evenflow checkup: SystemError: there are no data\n"


def test_an_argument_that_the_script_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import argparse, torch\nargparse.ArgumentParser().parse_args()"
    )
    done = evenflow(tmp_path, "checkup", "train.py", "--rate", "1")
    assert done.returncode == 3
    assert done.stderr == ("evenflow checkup: train.py: error: unrecognized arguments: --rate 1\n")


def test_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import time\ntime.sleep(600)")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = os.environ | {"TMPDIR": str(scratch)}
    command = [*EVENFLOW, "checkup", "train.py"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + HANG
        while not list(scratch.glob("*/jobs/*/job.json")) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert said.decode() == (
        "evenflow checkup: interrupted; all that it started has been stopped.\n"
    )
    assert not list(scratch.iterdir())
