"""`evenflow cure`, and `evenflow run` with what it wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from programs import EVENFLOW, evenflow

from patience import HANG

TRAIN = """
import torch
from torch import nn
torch.manual_seed({seed})
x = torch.randn(256, 8)
y = x[:, :1] - x[:, 1:2]
layers = [m for _ in range({depth}) for m in (nn.Linear(8, 8), nn.{act}())]
model = nn.Sequential(*layers, nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for step in range({steps}):
    b = torch.randint(256, (64,))
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x[b]), y[b])
    loss.backward()
    optimizer.step()
open("trained.txt", "a").write("once ")
print(f"mse {{loss.item():.6f}}")
"""


def script(folder: Path, depth: int = 1, act: str = "Tanh", steps: int = 120) -> Path:
    path = folder / "train.py"
    path.write_text(TRAIN.format(seed=0, depth=depth, act=act, steps=steps))
    return path


def test_a_healthy_script_is_left_alone(tmp_path: Path) -> None:
    script(tmp_path)
    done = evenflow(
        tmp_path, "cure", "--jobs", "1", "--json", "--apply", "--metric", "mse (.*)", "train.py"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], told["chosen"]) == ("healthy", None)
    assert told["before"]["per_seed"] == [pytest.approx(told["trials"][0]["metric"])]
    assert "healthy, nothing to do" in done.stderr and "no file was written" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evenflow-cure", "train.py"]


def test_run_honours_what_apply_wrote(tmp_path: Path) -> None:
    script(tmp_path, depth=12, act="Sigmoid", steps=30)
    bare = evenflow(tmp_path, "run", "--quiet", "train.py")
    (tmp_path / "evenflow.toml").write_text(
        '[treat]\n"train.py" = "init=lsuv-centred; clip=norm:1.0"\n"other.py" = "lr=x0.1"\n'
    )
    treated = evenflow(tmp_path, "run", "--every", "1", "./train.py")
    assert treated.returncode == 0, treated.stderr
    said = "Sequential treated with init=lsuv-centred; clip=norm:1.0 (evenflow.toml)"
    assert treated.stderr.count(said) == 1
    assert treated.stdout != bare.stdout
    assert float(treated.stdout.split()[1]) < float(bare.stdout.split()[1])


@pytest.mark.parametrize(
    ("told", "said"),
    [('"train.py" = "init=lsuf"', "init=lsuv"), ('"train.py" = 3', "must name scripts")],
)
def test_a_wrong_file_is_told_before_anything_runs(tmp_path: Path, told: str, said: str) -> None:
    (tmp_path / "train.py").write_text("print('ran')")
    (tmp_path / "evenflow.toml").write_text(f"[treat]\n{told}\n")
    done = evenflow(tmp_path, "run", "train.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "evenflow.toml" in done.stderr and said in done.stderr


def test_a_script_that_cannot_be_cured_is_told_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise OSError('no data here')")
    done = evenflow(tmp_path, "cure", "train.py")
    assert (done.returncode, done.stdout) == (3, "")
    assert "the script failed (OSError: no data here)" in done.stderr
    assert "Traceback" in done.stderr  # the script's own, from the end of its output


def test_interrupted_it_stops_all_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import os, time; open(os.environ['PIDS'], 'w').write(str(os.getpid())); time.sleep(99)"
    )
    pids = tmp_path / "pids"
    process = subprocess.Popen(
        [*EVENFLOW, "cure", "train.py"],
        cwd=tmp_path,
        env={**os.environ, "PIDS": str(pids)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not pids.exists() or not pids.read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "the same command goes on from here" in said and "Traceback" not in said
    assert not Path(f"/proc/{pids.read_text()}").exists()


@pytest.mark.slow
def test_a_sick_script_is_cured_and_stays_as_it_is(tmp_path: Path) -> None:
    path = script(tmp_path, depth=16, act="Sigmoid", steps=150)
    before = path.read_text()
    done = evenflow(
        tmp_path, *("cure", "--json", "--apply", "--budget", "20x"), "--minimize",
        *("--metric", "mse ([0-9.e-]+)"), "train.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"] in ("cured", "improved"), done.stderr
    assert told["after"]["mean"] < 0.5 * told["before"]["mean"]
    assert path.read_text() == before and not (tmp_path / "trained.txt").exists()
    treated = evenflow(tmp_path, "run", "train.py")
    own = [
        t["metric"] for t in told["trials"]
        if (t["stage"], t["treatment"], t["seed"]) == ("final", told["chosen"], 0)
    ]  # fmt: skip
    assert float(treated.stdout.split()[1]) == pytest.approx(own[0], rel=0.05)
