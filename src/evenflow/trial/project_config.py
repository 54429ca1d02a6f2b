"""`evenflow.toml`: treatments that `evenflow run` applies to a script, written by `cure --apply`;
and whether the text of its lines may be kept with a run.

    source = false

    [treat]
    "train.py" = "init=lsuv-centred; clip=norm:1.0"

The key is the script as it is given to `evenflow run` in the file's folder (for `-m`, the module).
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from ..script import Program
from ..showing import visible

NAME = "evenflow.toml"
_LARGEST = 1_000_000
_HEAD = "# Treatments applied by `evenflow run`; written by `evenflow cure --apply`.\n"


def key_of(program: Program) -> str:
    """How it is named in the file: a script relative to the folder, where it can be."""
    if program.module:
        return program.target
    folder = Path(program.folder)
    path = Path(os.path.normpath(folder / program.target))
    return path.relative_to(folder).as_posix() if folder in path.parents else str(path)


def read(folder: Path) -> dict[str, str]:
    """The treatments of each script; {} without a file.

    Raises:
        ValueError: the file is not TOML, or not of this form; says what stands there.
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    table = _parsed(path).get("treat", {})
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise ValueError(
            f"{path}: [treat] is {table!r:.200}; it must name scripts and their treatments, as in "
            '"train.py" = "init=lsuv-centred"'
        )
    return dict(table)


def keeps_source(folder: Path) -> bool:
    """Does it say nothing else, or is there none?

    Raises:
        ValueError: the file is not TOML, or not of this form.
    """
    path = folder / NAME
    said = _parsed(path).get("source", True) if path.is_file() else True
    if not isinstance(said, bool):
        raise ValueError(f"{path}: source is {said!r:.200}; it must be true or false")
    return said


def write(program: Program, treatments: str) -> Path:
    """Set one script's treatments; everything else in the file stays as it is."""
    folder, script = Path(program.folder), key_of(program)
    path = folder / NAME
    known = read(folder)
    line = " = ".join(json.dumps(s, ensure_ascii=False) for s in (script, treatments))
    old = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
    if script in known:
        lines = [line if _names(each, script, known[script]) else each for each in old.splitlines()]
        new = "\n".join(lines) + "\n"
    elif re.search(r"^\[treat\][ \t]*$", old, re.MULTILINE):
        new = re.sub(
            r"^\[treat\][ \t]*$", lambda found: f"{found[0]}\n{line}", old, count=1, flags=re.M
        )
    else:
        gap = "" if old.endswith("\n\n") or old == _HEAD else "\n"
        new = f"{old}{gap}[treat]\n{line}\n"
    try:
        safe = _loads(new)["treat"] == {**known, script: treatments}
    except (ValueError, KeyError):
        safe = False
    if not safe:
        raise ValueError(
            f"{path} is written in a way that cannot be changed safely; put this under [treat] by "
            f"hand: {line}"
        )
    path.write_text(new, encoding="utf-8")
    return path


def _names(line: str, script: str, treatments: str) -> bool:
    """Is this the line that sets the script's treatments, however it is quoted?"""
    try:
        return _loads(line) == {script: treatments}
    except ValueError:
        return False


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST} bytes")
        return _loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} cannot be read as TOML: it is nested too deep") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as TOML: {visible(str(error))}") from None


def _loads(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
