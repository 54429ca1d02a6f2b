"""Which run file is meant, and what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..lang import _, sentences
from ..nearby import did_you_mean

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
            said = _(
                "the folder {path!r} holds no run (*{suffix}). Make one with: evenflow run train.py"
            )
            raise CannotJudge(said.format(path=str(path), suffix=SUFFIX))
        return found[-1]
    if path.exists():
        return path
    if named is None:
        said = _(
            "there is no folder {path!r} here, so no run to take by default. "
            "Name a run file, or make one with: evenflow run train.py"
        )
        raise CannotJudge(said.format(path=str(path)))
    said = _("there is no file {name!r}.").format(name=named)
    raise CannotJudge(sentences(filter(None, (said, _hint(path)))))


def load_run(path: Path) -> Run:
    """The run in a file. Raises CannotJudge with one sentence on what is wrong with it."""
    from .. import store

    try:
        return store.load(path, partial=True)
    except store.StoreError as error:
        raise CannotJudge(str(error)) from None
    except OSError as error:
        said = _("cannot read {path!r}: {error}.")
        reason = error.strerror or error
        raise CannotJudge(said.format(path=str(path), error=reason)) from None


def _hint(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return _("There is no folder {folder!r} either.").format(folder=str(folder))
    names = [p.name for p in folder.iterdir() if p.suffix == SUFFIX or p.is_dir()]
    return did_you_mean(path.name, names, write=lambda n: repr(str(folder / n)), sentence=True)
