"""Ctrl-C and kill -9: the diagnosis is still printed, the file can still be judged."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from programs import EVENFLOW, copies, evenflow, run

import evenflow as library
from patience import HANG


def started(folder: Path, *command: str) -> subprocess.Popen[str]:
    """A script in mid-training."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "trained\n"
    return process


def interrupted(folder: Path, *command: str) -> tuple[int, str]:
    process = started(folder, *command)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=HANG)
    return process.returncode, said


def _frames(trace: str) -> list[str]:
    """The frames of a traceback, without line numbers: Ctrl-C comes where it comes."""
    lines = [line for line in trace.splitlines() if line.startswith("  File ")]
    return [re.sub(r"line \d+", "line", line) for line in lines]


def test_ctrl_c_ends_as_under_python_with_the_diagnosis(tmp_path: Path) -> None:
    where = copies(tmp_path)
    bare, trace = interrupted(where, sys.executable, "waits.py")
    code, said = interrupted(where, *EVENFLOW, "run", "--out", "r.evenflow", "waits.py")
    # A shell calls it 130. Where tabulate is installed (skops brings it) python itself ends with 1:
    # torch imports it at exit, which makes the interpreter forget that it was interrupted.
    assert code == bare and bare in (-signal.SIGINT, 1)
    assert trace.splitlines()[-1] == "KeyboardInterrupt"
    assert _frames(said)[0] == _frames(trace)[0]
    assert said.count("KeyboardInterrupt") == 1
    assert f"{os.sep}evenflow{os.sep}" not in said
    assert "Next: evenflow report r.evenflow" in said
    assert library.load(where / "r.evenflow").meta["ended"].startswith("error: KeyboardInterrupt")


def test_a_shell_sees_130(tmp_path: Path) -> None:
    where = copies(tmp_path)
    (where / "ctrl_c.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    line = f"{sys.executable} -m evenflow run ctrl_c.py; echo $?"
    done = subprocess.run(["bash", "-c", line], cwd=where, capture_output=True, text=True)
    assert done.stdout == "130\n"


def test_ctrl_c_while_we_judge_is_no_traceback_of_ours(tmp_path: Path) -> None:
    (tmp_path / "impatient.py").write_text(
        "import sys, evenflow.cli.after_run as owner\nfrom evenflow.cli import main\n"
        "def tell_run(*args, **options):\n    raise KeyboardInterrupt\n"
        "owner.tell_run = tell_run\nsys.exit(main(['run', 'no_training.py']))\n"
    )
    (tmp_path / "no_training.py").write_text("import torch\n")
    done = run((sys.executable, "impatient.py"), tmp_path)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.startswith("evenflow: interrupted before the diagnosis")
    assert "Traceback" not in done.stderr


def test_kill_9_leaves_a_run_that_can_be_judged(tmp_path: Path) -> None:
    where = copies(tmp_path)
    process = started(where, *EVENFLOW, "run", "--every", "1", "--out", "r.evenflow", "waits.py")
    while len(library.load(where / "r.evenflow").steps) < 20:  # they reach the file within seconds
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.communicate(timeout=HANG)
    done = evenflow(where, "check", "r.evenflow")
    assert done.returncode in (0, 1), done.stderr
    assert "Next: evenflow report r.evenflow" in done.stderr
    run = library.load(where / "r.evenflow")
    assert len(run.steps) >= 20
    assert run.meta["ended"] == ""
