"""Lines that are claimed are right: all of them, in programs of every form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import line_cases
import pytest
from line_cases import Case

import evenflow
from evenflow.schema import Run

HERE = Path(__file__).parent
FILES = sorted(path.name for path in HERE.glob("*.cases"))
CASES = {name: list(line_cases.cases(HERE / name)) for name in FILES}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the programs run in forks")


def judged(cases: list[Case], folder: Path) -> dict[str, list[str]]:
    """What is wrong of each that is not right."""
    table = []
    for case in cases:
        here = folder / case.name
        case.write(here)
        for name in case.files:  # scripts are older than the process that runs them
            os.utime(here / name, (time.time() - 3600,) * 2)
        options = {k: v for k, v in [o.split("=", 1) for o in case.options]}
        if "run" in options:
            options["run"] = options["run"].split(",")
        row = {"folder": str(here), "run": case.run, "options": options, "env": case.env}
        table.append(row)
    (folder / "table.json").write_text(json.dumps(table))
    done = subprocess.run(
        [sys.executable, HERE / "run_cases.py", folder / "table.json"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    out = {}
    for case, code in zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True):
        said = (folder / case.name / "said.txt").read_text(errors="replace")
        if code or "Traceback" in said:
            out[case.name] = [f"exit code {code}", *said[-1500:].splitlines()]
        elif found := line_cases.wrong(case, load(folder / case.name), folder / case.name):
            out[case.name] = found
    return out


def load(folder: Path) -> Run:
    return evenflow.load(folder / "run.evenflow")


@pytest.mark.parametrize("name", FILES)
def test_what_is_told_of_lines_is_right(name: str, tmp_path: Path) -> None:
    quick = [case for case in CASES[name] if not case.slow]
    found = judged(quick, tmp_path)
    assert not found, "\n".join(f"{k}:\n  " + "\n  ".join(v) for k, v in found.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in FILES if any(c.slow for c in CASES[n])])
def test_so_it_is_where_it_takes_long(name: str, tmp_path: Path) -> None:
    found = judged([case for case in CASES[name] if case.slow], tmp_path)
    assert not found, "\n".join(f"{k}:\n  " + "\n  ".join(v) for k, v in found.items())


def test_there_are_sixty() -> None:
    names = [case.name for cases in CASES.values() for case in cases]
    assert len(names) == len(set(names)) >= 60
    assert all(line_cases.marks(case) for cases in CASES.values() for case in cases)


def one(name: str) -> Case:
    return next(case for cases in CASES.values() for case in cases if case.name == name)


def test_the_judge_hears_what_is_wrong(tmp_path: Path) -> None:
    case = one("sequential")
    case.write(tmp_path)
    run_alone(tmp_path)
    assert line_cases.wrong(case, load(tmp_path), tmp_path) == []
    for old, new, said in (
        ("# made: 0@", "# made: 9@", "the line does not say so"),
        ("# made: 0@", "# made: 9@", "9 is not told"),
        ("# made: 2", "# made[3]: 2", "turn 0 of 0"),
        ("# made: 1@nn.ReLU()", "# made: 1@nn.Linear()", "it is said of 'nn.ReLU()'"),
        ("nn.ReLU()", "nn.ReLu()", "the text kept is"),
    ):
        lines = [line.replace(old, new) for line in case.texts["train.py"]]
        other = Case("other", False, texts={"train.py": lines})
        assert any(said in told for told in line_cases.wrong(other, load(tmp_path), tmp_path))


def run_alone(folder: Path) -> None:
    """As a person does it: the script itself imports torch."""
    out = ["--quiet", "--every", "1", "--out", "run.evenflow", "train.py"]
    subprocess.run([sys.executable, "-m", "evenflow", "run", *out], cwd=folder, check=True)
