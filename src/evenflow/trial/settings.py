"""How to cure, and where a cure keeps its state."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from ..script import Program
from .scratch import entries

#: Where states of cures are kept, in the folder the command was given in.
FOLDER = "evenflow-cure"
#: So many scripts of the folder at most tell whether it is as it was.
MOST_SCRIPTS = 2000


@dataclass(frozen=True, slots=True)
class Settings:
    """How to cure: arguments of `evenflow.cure`, and `fresh`: forget what earlier cures of this
    script have run; `first`: texts of treatments to try before all others, of a check-up; `patch`:
    write what was chosen into the script's text, and prove that, too."""

    metric: str = ""
    minimize: bool = False
    seeds: int = 3
    budget: str = "10m"
    jobs: int = 0
    in_place: bool = False
    fresh: bool = False
    without: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    patch: bool = False


def state_folder(program: Program, settings: Settings) -> Path:
    """Of this script as it is today, with these arguments; made, and hidden from git."""
    folder = Path(program.folder)
    name = Path(program.target).stem if not program.module else program.target.rpartition(".")[2]
    digest = hashlib.sha256()
    asked = (program.target, program.args, program.module, settings.metric, settings.in_place)
    digest.update(
        repr((*asked, sys.version, version("evenflow"), os.environ.get("OMP_NUM_THREADS"))).encode()
    )
    below = (p for p in entries(folder, None) if p.suffix == ".py" and p.is_file())
    scripts = set(islice(below, MOST_SCRIPTS))
    target = folder / program.target
    if target.is_file():
        scripts.add(target)
    for script in sorted(scripts):
        digest.update(str(script).encode() + script.read_bytes())
    state = folder / FOLDER / f"{name}-{digest.hexdigest()[:10]}"
    state.mkdir(parents=True, exist_ok=True)
    ignore = folder / FOLDER / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return state
