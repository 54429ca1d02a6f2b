"""Judging stored runs, which may come from anyone: what `check`, `report` and `run` share."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from ..lang import N_, _
from ..showing import visible
from .consoles import as_json, busy
from .runs import CannotJudge, load_run

if TYPE_CHECKING:
    from ..faults import Asked
    from ..forecast import Pair
    from ..schema import Finding, Run

#: Why no step could be sampled (`Recorder.bounds.lost`).
_IN_VAIN = {
    "untrained": N_(
        "steps of training were counted, and no step could be sampled: too many calls that no "
        "backward pass reaches came before each (acting, evaluation)"
    ),
    "time": N_(
        "steps of training were counted, and no step could be sampled: reading one takes longer "
        "than sampling may (try every=N)"
    ),
}


def no_readings(run: Run) -> str:
    """Why there is nothing to judge."""
    if run.unjudged == "not-sampled":
        said = _("steps of training were counted, and no step could be sampled")
        return _(_IN_VAIN.get(str(run.meta.get("in_vain")), "")) or said
    if run.unsampled:
        return _(
            "steps of training were counted, and none was measured: sampling was off (every=0)"
        )
    return _("no training step was seen: no backward pass with an update after it")


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Whatever is judged and told within is of this file, and may be absurd.

    NumPy's warnings about its numbers are for nobody; what a rule could not judge is said in a
    line. An error that no check foresaw is one sentence, too, and exit code 3.
    """
    import numpy as np

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            yield
    except (RecursionError, MemoryError, ArithmeticError, LookupError, TypeError) as error:
        said = _("{path!r} cannot be judged: what it holds makes no sense ({why}).")
        why = visible(f"{type(error).__name__}: {error}"[:200])
        raise CannotJudge(said.format(path=str(path), why=why)) from error
    for each in heard:
        if str(each.message).startswith("Evenflow"):
            print(f"evenflow: {visible(str(each.message))}", file=sys.stderr)


def judging(path: Path) -> AbstractContextManager[object]:
    """A long run takes seconds to judge: say so."""
    return busy(_("judging {name} ...").format(name=visible(path.name)))


def as_text(
    run: Run,
    findings: Sequence[Finding],
    pairs: Sequence[Pair] | None = None,
    chosen: Asked | None = None,
) -> str:
    """What `--json` prints; `pairs` of a forecast under "forecast"."""
    from .. import report

    told = report.as_json(run, findings, chosen)
    if pairs is not None:
        told["forecast"] = [p.as_dict() for p in pairs]
    return as_json(told)


def foreseen(run: Run, named: str) -> list[Pair]:
    """Sites of the run with what a kept forecast said of them."""
    from ..forecast import beside

    if not Path(named).is_file():
        said = _("there is no file {name!r}; make one with: evenflow preflight ... --out {name}")
        raise ValueError(said.format(name=named))
    return beside(run, load_run(Path(named)))
