"""`evenflow run --heal`: an unmodified script, the events, and what check and report show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from programs import evenflow, run

from evenflow.cli.app import app
from evenflow.cli.options import spelled_out

PROGRAMS = Path(__file__).parents[2] / "benchmarks" / "healing"
ARGV = {
    "run --heal x.py --heal": "run --heal=all x.py --heal",
    "run --every 1 --heal -m pack --heal": "run --every 1 --heal=all -m pack --heal",
    "run --heal=clip x.py": "run --heal=clip x.py",
    "run --out --heal x.py": "run --out --heal x.py",  # a file of that name, if one must
    "run -- --heal": "run -- --heal",
    "check --heal": "check --heal",
    "": "",
}


@pytest.mark.parametrize("given", ARGV)
def test_heal_without_names_is_all_and_never_takes_the_script(given: str) -> None:
    import typer

    command = typer.main.get_command(app)
    assert " ".join(spelled_out(command, given.split())) == ARGV[given]


def test_a_script_with_accidents_is_healed_and_shown(tmp_path: Path) -> None:
    script = str(PROGRAMS / "outliers.py")
    clean = run((sys.executable, script, "--plant", "none"), tmp_path)
    done = evenflow(tmp_path, "run", "--heal", "--out", "r.evenflow", script)
    assert done.returncode == 0 and done.stdout.startswith("finite True"), done.stderr
    bar = float(clean.stdout.split()[-1]) - 0.01
    assert float(done.stdout.split()[-1]) >= bar
    assert "healed: " in done.stderr and "gradient clipped 6 times" in done.stderr
    checked = evenflow(tmp_path, "check", "--json", "r.evenflow")
    told = json.loads(checked.stdout)["healed"]
    assert [t["did"] for t in told].count("clip") == 6
    assert all(t["before"] and t["after"] and t["reason"] and t["message"] for t in told)
    assert "healed: " in evenflow(tmp_path, "check", "r.evenflow").stdout
    page = evenflow(tmp_path, "report", "-o", "-", "r.evenflow").stdout
    assert "Healed while it ran" in page and "gradient clipped" in page


@pytest.mark.parametrize("names", ["--heal=clip", "EVENFLOW_HEAL"])
def test_only_what_is_named(names: str, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(
        "import torch\np = torch.nn.Parameter(torch.ones(3))\n"
        "o = torch.optim.SGD([p], 1e-3)\n"
        "for t in range(30):\n"
        "    (p.sum() * {20: 1e6, 25: float('nan')}.get(t, 1.0)).backward()\n"
        "    o.step(); o.zero_grad()\n"
        "print(p.isfinite().all())\n"
    )
    options = [names] if names.startswith("--") else []
    variables = {} if options else {names: "clip"}
    done = evenflow(tmp_path, "run", *options, "--json", "-", "t.py", **variables)
    said, _, told = done.stdout.partition("\n")
    assert "False" in said
    assert [(d["did"], d["attempt"]) for d in json.loads(told)["healed"]] == [("clip", 20)]
