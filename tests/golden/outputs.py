"""Everything Evenflow says, as it is said today: what `test_golden.py` holds against the files.

    python tests/golden/outputs.py [zoo] [commands] [surface]

writes the goldens anew (all of them, unless some are named). Do so only for a change that
CHANGELOG.md gives a reason for, and read the diff. Weights differ between processors, so a
stored number stands for all that agree with it to two digits; texts are kept without numbers.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")

#: Keys that time, the machine or the release decides, and texts that stand elsewhere.
LEFT_OUT = frozenset({"remedies", "seconds", "took", "started", "version", "cost", "path", "run"})
#: Texts with measured numbers in them.
SPOKEN = frozenset({"message", "said", "headline", "why", "text"})

MODEL = '''
import torch
from torch import nn


def deep(act=nn.Sigmoid):
    """Twelve layers; with sigmoids the gradient vanishes."""
    torch.manual_seed(0)
    layers = [m for _ in range(12) for m in (nn.Linear(16, 16), act())]
    return nn.Sequential(nn.Linear(8, 16), *layers, nn.Linear(16, 1))


def sound():
    """Two layers with ReLU."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
'''

SCRIPT = """
import sys
import torch
from golden_models import deep, sound

model = {"deep": deep, "sound": sound}[sys.argv[1]]()
torch.manual_seed(1)
x = torch.randn(256, 8)
y = x[:, :1] - x[:, 1:2]
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for step in range(60):
    rows = torch.randint(256, (64,))
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x[rows]), y[rows])
    loss.backward()
    optimizer.step()
print(f"mse {loss.item():.6f}")
"""

_RUN = ("run", "--every", "1", "--json", "-")
_CURE = ("cure", "--jobs", "1", "--json", "--metric", "mse (.*)", "--minimize")
#: What is asked of the command line, in order: one name each, and its words.
COMMANDS: dict[str, tuple[str, ...]] = {
    "run of a sick script": (*_RUN, "--out", "sick", "golden_train.py", "deep"),
    "run of a sound script": (*_RUN, "--out", "sound", "golden_train.py", "sound"),
    "check sick": ("check", "sick", "--json"),
    "check sound": ("check", "sound", "--json"),
    "check sick, one rule": ("check", "sick", "--json", "--select", "EF101"),
    "explain": ("explain", "sick", "--json"),
    "explain a site at a step": ("explain", "sick", "--json", "--site", "12", "--step", "0"),
    "preflight sick": ("preflight", "golden_models:deep", "--input", "64,8", "--json"),
    "preflight sound": ("preflight", "golden_models:sound", "--input", "64,8", "--json"),
    "preflight static": ("preflight", "golden_models:deep", "--input", "8,8", "--static", "--json"),
    "activations": ("activations", "--json"),
    "activations gelu": ("activations", "gelu", "--json"),
    "rules": ("rules",),
    "cure of a sound script": (*_CURE, "golden_train.py", "sound"),
    "cure": (*_CURE, "--seeds", "2", "--budget", "6x", "golden_train.py", "deep"),
}


def plain(value: Any, key: str = "") -> Any:
    """JSON without what no golden can hold; numbers of spoken texts become `#`."""
    if isinstance(value, dict):
        return {k: plain(v, k) for k, v in value.items() if k not in LEFT_OUT}
    if isinstance(value, (list, tuple)):
        curve = len(value) > 80 and all(isinstance(v, (int, float)) for v in value)
        return [plain(v, key) for v in (value[::40] if curve else value)]
    if isinstance(value, str) and key in SPOKEN:
        return NUMBER.sub("#", value)
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value


def zoo(name: str, seed: int = 0) -> dict[str, Any]:
    """The findings of one case, sampled every tenth step (auto would go by the clock)."""
    import torch

    import evenflow
    from evenflow.zoo import REGISTRY

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.evenflow"
        with evenflow.watch(run=path, every=10):
            REGISTRY[name].train(seed)
        told = json.loads(_said("check", str(path), "--json"))
    short = plain(told)
    assert isinstance(short, dict)
    return short


def commands(folder: Path, names: list[str]) -> dict[str, Any]:
    """What each command prints on stdout, and its exit status; run in a folder of their own."""
    folder = folder / "work"
    folder.mkdir()
    (folder / "golden_models.py").write_text(MODEL)
    (folder / "golden_train.py").write_text(SCRIPT)
    found = {}
    for name in names:
        done = subprocess.run(
            (sys.executable, "-m", "evenflow", *COMMANDS[name]),
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "EVENFLOW_LANG": "en", "COLUMNS": "100"},
        )
        out = done.stdout[done.stdout.find("{") :] if "--json" in COMMANDS[name] else done.stdout
        told = plain(json.loads(out)) if "--json" in COMMANDS[name] else out.splitlines()
        found[name] = {"exit": done.returncode, "told": told}
    return found


def surface() -> dict[str, Any]:
    """`--help` of every command, and the public names of `evenflow` with their signatures."""
    import typer

    import evenflow
    from evenflow.cli.app import app

    names = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    return {
        "help": {name: _said(*name.split(), "--help").splitlines() for name in ("", *names)},
        "names": {name: _signature(getattr(evenflow, name)) for name in evenflow.__all__},
    }


def _signature(value: Any) -> list[str]:
    """A function's signature; of a class, its public members and theirs."""
    if not callable(value):
        return [type(value).__name__]
    if not inspect.isclass(value):
        return [str(inspect.signature(value))]
    members = {n: v for n, v in inspect.getmembers(value) if not n.startswith("_")}
    fields = getattr(value, "__annotations__", {})
    return [f"class{_of(value)}", *(f"{n}: {t}" for n, t in fields.items())] + [
        f"{n}{_of(v)}" for n, v in members.items() if n not in fields
    ]


def _of(value: Any) -> str:
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""


def _said(*args: str) -> str:
    """stdout of one command, run in this process."""
    from evenflow.cli import main

    heard = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(io.StringIO()):
            try:
                main(list(args))
            except SystemExit:
                pass
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return heard.getvalue()


def read(kind: str) -> dict[str, Any]:
    """A golden file: "zoo", "commands" or "surface"."""
    stored: dict[str, Any] = json.loads((HERE / f"{kind}.json").read_text(encoding="utf-8"))
    return stored


def write(kind: str, values: dict[str, Any]) -> None:
    """One entry a line, so that a diff shows what changed."""
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in values.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (HERE / f"{kind}.json").write_text(text, encoding="utf-8")


def different(old: Any, new: Any, where: str = "") -> list[str]:
    """Where the two part: structure, texts and whole numbers exactly, figures to two digits."""
    if isinstance(old, dict) and isinstance(new, dict):
        lost = [f"{where}.{k}: gone" for k in old if k not in new]
        come = [f"{where}.{k}: new" for k in new if k not in old]
        same = [d for k in old if k in new for d in different(old[k], new[k], f"{where}.{k}")]
        return lost + come + same
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            d
            for i, (a, b) in enumerate(zip(old, new, strict=True))
            for d in different(a, b, f"{where}[{i}]")
        ]
    if isinstance(old, float) and isinstance(new, (int, float)):
        close = abs(old - new) <= 0.05 * max(abs(old), abs(new))
        return [] if close or old == new else [f"{where}: {old} -> {new}"]
    return [] if old == new else [f"{where}: {old!r} -> {new!r}"]


def main(kinds: list[str]) -> None:
    if "surface" in kinds:
        write("surface", {f"{k} {n}": v for k, part in surface().items() for n, v in part.items()})
    if "commands" in kinds:
        with tempfile.TemporaryDirectory() as folder:
            write("commands", commands(Path(folder), list(COMMANDS)))
    if "zoo" in kinds:
        from evenflow.zoo import REGISTRY

        write("zoo", {name: zoo(name) for name in REGISTRY})


if __name__ == "__main__":
    main(sys.argv[1:] or ["surface", "commands", "zoo"])
