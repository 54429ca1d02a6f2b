"""Run a script under `python` and under `evenflow run`, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from patience import HANG

SCRIPTS = Path(__file__).with_name("scripts")
EVENFLOW = (sys.executable, "-m", "evenflow")


def run(
    command: Sequence[str],
    folder: Path,
    stdin: str | None = None,
    strict: bool = True,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """One command; EVENFLOW_STRICT shows errors of ours that failing open would hide."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    if not strict:
        environment.pop("EVENFLOW_STRICT", None)
    return subprocess.run(
        command,
        cwd=folder,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=HANG,
        env=environment,
    )


def copies(folder: Path) -> Path:
    """The scripts, where they may write."""
    target = folder / "scripts"
    if not target.exists():
        shutil.copytree(SCRIPTS, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def evenflow(
    folder: Path, *args: str, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return run((*EVENFLOW, *args), folder, stdin, **variables)


def both(
    folder: Path, *args: str, options: Sequence[str] = (), stdin: str | None = None
) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """As python runs it, and as Evenflow does (every step sampled, unless told otherwise)."""
    where = copies(folder)
    bare = run((sys.executable, *args), where, stdin)
    watched = evenflow(where, "run", *(options or ("--every", "1")), *args, stdin=stdin)
    return bare, watched
