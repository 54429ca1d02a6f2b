"""What is frozen: kind -> case -> the function that makes it, by public ways alone."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import torch

import evenflow
from evenflow.activations import names
from evenflow.cli import main
from golden import nets
from golden.surface import commands, help_of, signatures
from networks import KINDS as TRAININGS
from zoo import REGISTRY, STARTS

#: Every so many steps of the zoo's trainings is sampled: fixed, so that a busy machine, which
#: "auto" would sample more rarely, says the same.
EVERY = 4
#: The first seed of each half's benchmark.
SEED = {"calibration": 100, "report": 0}
#: Trainings that `make test` has time for: together they show most groups of codes.
QUICK = (
    "perceptron-small-start", "perceptron-large-start", "perceptron-zero-start",
    "perceptron-paralysed", "perceptron-sgd-rate", "perceptron-softmax-twice", "perceptron-list",
    "perceptron-stalled", "perceptron-tanh", "autoencoder-cut-off", "autoencoder-dead",
)  # fmt: skip
Make = Callable[[], Any]


def spoken(*args: str) -> dict[str, Any]:
    """What a command that prints JSON says, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(args)
    assert out.getvalue(), err.getvalue()
    return {"exit": code, **json.loads(out.getvalue())}


@contextmanager
def recorded(name: str, train: Callable[[], object], every: int) -> Iterator[str]:
    """The path of a training's run file, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.evenflow"
        with evenflow.watch(run=path, every=every):
            train()
        yield str(path)


def _checked(name: str) -> Any:
    """The findings of a training, as `check --json` prints them."""
    case = REGISTRY[name]
    with recorded(name, partial(case.train, SEED[case.half]), EVERY) as path:
        return spoken("check", path, "--json")


def _explained(name: str, steps: int, *options: str) -> Any:
    torch.manual_seed(7)
    with recorded(name, partial(TRAININGS[name], steps), 1) as path:
        return spoken("explain", path, "--json", *options)


def _born(name: str) -> Any:
    start = STARTS[name]
    return evenflow.preflight(start.build(1), (start.batch(),)).to_json()


def _foreseen(name: str, *options: str) -> Any:
    where = ("--input", nets.INPUTS[name])
    return spoken("preflight", f"golden.nets:{name}", *where, "--json", *options)


#: Sixteen sigmoid layers, forty updates: sick, and mended by its start alone.
SCRIPT = """
import torch
from torch import nn
torch.manual_seed({seed})
x = torch.randn(256, 16)
y = (x[:, 0] > 0).long()
layers = [m for _ in range({depth}) for m in (nn.Linear(16, 16), nn.{act}())]
model = nn.Sequential(*layers, nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for step in range(40):
    b = torch.randint(256, (64,))
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x[b]), y[b])
    loss.backward()
    optimizer.step()
print(f"acc {{(model(x).argmax(1) == y).float().mean().item():.4f}}")
"""
_METRIC = ("--metric", "acc ([0-9.]+)")


def _cured(depth: int, act: str, *options: str) -> Any:
    """In a process of its own, as all trials are; the budget is counted in runs, not seconds."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "alone")  # what lies beside a script is seen, too
        home.mkdir()
        (home / "train.py").write_text(SCRIPT.format(seed=0, depth=depth, act=act))
        command = ("cure", "--json", "--jobs", "1", *_METRIC, *options, "train.py")
        done = subprocess.run(
            [sys.executable, "-m", "evenflow", *command],
            cwd=home,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
    assert done.stdout, done.stderr
    return {"exit": done.returncode, **json.loads(done.stdout)}


KINDS: dict[str, dict[str, Make]] = {
    "names": {
        module: partial(signatures, module)
        for module in ("evenflow", "evenflow.fit", "evenflow.activations")
    },
    "commands": {" ".join(("evenflow", *c)): partial(help_of, c) for c in commands()},
    "activations": {name: partial(spoken, "activations", name, "--json") for name in names()},
    "explain": {
        name: partial(_explained, name, 20)
        for name in (
            "perceptron",
            "convolution",
            "residual_shared",
            "unrolled_cell",
            "lstm_dropout",
            "gru",
            "transformer",
            "decoder_attention",
            "checkpoint_plain",
            "custom_function",
            "two_losses",
        )
    },
    "preflight": {
        **{name: partial(_foreseen, name) for name in nets.INPUTS},
        **{f"{name}, static": partial(_foreseen, name, "--static") for name in nets.INPUTS},
        **{name: partial(_born, name) for name in STARTS},
    },
    "check": {name: partial(_checked, name) for name in REGISTRY},
    "cure": {
        "healthy": partial(_cured, 1, "Tanh"),
        "sick": partial(_cured, 16, "Sigmoid", "--seeds", "2", "--budget", "6x"),
    },
}
