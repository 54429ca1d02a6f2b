"""Which run file is meant, and what it holds."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..schema import Run

FOLDER = Path("evenflow-runs")
SUFFIX = ".evenflow"


class CannotJudge(Exception):
    """No run to judge: missing, foreign, corrupt, or without a reading. Exit code 3."""


def find_run(named: str | None) -> Path:
    """The file named, or the newest in the folder named; by default the newest in evenflow-runs."""
    path = FOLDER if named is None else Path(named)
    if path.is_dir():
        found = sorted(path.glob(f"*{SUFFIX}"), key=lambda p: (p.stat().st_mtime_ns, p.name))
        if not found:
            raise CannotJudge(
                f"the folder {str(path)!r} holds no run (*{SUFFIX}). "
                "Make one with: evenflow run train.py"
            )
        return found[-1]
    if path.exists():
        return path
    if named is None:
        raise CannotJudge(
            f"there is no folder {str(path)!r} here, so no run to take by default. "
            "Name a run file, or make one with: evenflow run train.py"
        )
    raise CannotJudge(f"there is no file {named!r}.{_hint(path)}")


def load_run(path: Path) -> Run:
    """The run in a file. Raises CannotJudge with one sentence on what is wrong with it."""
    from .. import store

    try:
        run = store.load(path)
    except store.StoreError as error:
        raise CannotJudge(str(error)) from None
    except OSError as error:
        raise CannotJudge(f"cannot read {str(path)!r}: {error.strerror or error}.") from None
    return run


def _hint(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" There is no folder {str(folder)!r} either."
    names = [p.name for p in folder.iterdir() if p.suffix == SUFFIX or p.is_dir()]
    close = difflib.get_close_matches(path.name, names, 1)
    return f" Did you mean {str(folder / close[0])!r}?" if close else ""
