"""Several processes: the rank in the file's name, one diagnosis, and a word where none trained."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import EVENFLOW, evenflow

import evenflow as package
from evenflow.cli.children import why_not_here
from evenflow.monitor import ranks, with_rank
from evenflow.script import Program
from patience import HANG

TRAIN = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(30):
    x = torch.randn(32, 8)
    loss = nn.functional.mse_loss(net(x), x[:, :1])
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, (3, 4)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (0, 1)),
        ({"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, (1, 2)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, (1, 2)),
        ({"RANK": "one", "WORLD_SIZE": "2"}, (0, 1)),
        ({"RANK": "7", "WORLD_SIZE": "2"}, (0, 1)),
    ],
)
def test_the_rank_is_what_launchers_tell(
    told: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("RANK", "WORLD", "LOCAL_", "SLURM", "OMPI")):
            monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert ranks() == expected
    named = with_rank(Path("a/run.evenflow")).name
    assert named == ("run.evenflow" if expected[1] == 1 else f"run-rank{expected[0]}.evenflow")


def test_two_ranks_have_a_file_each_and_one_diagnosis(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    asked = (*EVENFLOW, "run", "--every", "1", "--out", "r.evenflow", "--json", "-", "train.py")
    started = [
        subprocess.Popen(
            asked, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in (0, 1)
    ]  # fmt: skip
    (out, err), (out1, err1) = (p.communicate(timeout=HANG) for p in started)
    assert [p.returncode for p in started] == [0, 0], err + err1
    assert '"verdict"' in out and "process 0 of 2" in err and "HEALTHY" in err
    assert not out1 and not err1
    for rank in (0, 1):
        assert package.load(tmp_path / f"r-rank{rank}.evenflow").meta["steps"] == 30


def test_a_launcher_is_told_how_to_watch_what_it_starts(tmp_path: Path) -> None:
    """A stand-in for torch.distributed.run: it imports torch, and trains elsewhere."""
    (tmp_path / "train.py").write_text(TRAIN)
    launcher = tmp_path / "torchrun"
    launcher.write_text(
        "import subprocess, sys, torch\n"
        "sys.exit(subprocess.call([sys.executable, *sys.argv[2:]]))\n"
    )
    done = evenflow(tmp_path, "run", "torchrun", "--nproc_per_node=2", "train.py", "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert "no training step was seen" in done.stderr
    command = "torchrun --nproc_per_node=2 --no-python evenflow run train.py --epochs 3"
    assert command in done.stderr


def test_where_the_training_may_have_been() -> None:
    module = Program("torch.distributed.run", "/", ("--nproc-per-node", "2", "a b.py"), True)
    assert "torchrun --nproc-per-node 2 --no-python evenflow run 'a b.py'" in why_not_here(module)
    assert "--no-python evenflow run" in why_not_here(
        Program("torch.distributed.run", "/", module=True)
    )
    assert "evenflow.watch() in the function" in why_not_here(Program("train.py", "/"), seconds=5.0)
    assert why_not_here(Program("train.py", "/"), seconds=0.1) == ""


@pytest.mark.slow
def test_torchrun_itself(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    done = subprocess.run(
        (*launch, "--no-python", *EVENFLOW, "run", "--out", "r.evenflow", "train.py"),
        cwd=tmp_path, capture_output=True, text=True, timeout=HANG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("HEALTHY") == 1
    assert len(list(tmp_path.glob("r-rank*.evenflow"))) == 2
