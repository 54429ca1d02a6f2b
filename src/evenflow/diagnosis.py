"""From a run to findings in words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Protocol

from .faults import judge
from .lang import _
from .schema import Finding, Run
from .store import load
from .words import with_messages


class Watching(Protocol):
    """What has a run to judge, also while it goes on: `evenflow.watch`'s `Watch`."""

    def run(self) -> Run:
        """All that was seen until now."""


def diagnose(
    run: Run | Watching | str | os.PathLike[str],
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> list[Finding]:
    """Judge a run, or the file of one (also while it is being written).

    Args:
        run: a `Run`, the path of a run file, or an open or closed `Watch`.
        select: codes or prefixes to judge by ("EF1", "EF202"); all when empty.
        ignore: codes or prefixes to leave out.

    Returns:
        Findings with messages, worst first.

    Raises:
        ValueError: an unknown code; StoreError (a ValueError): the file cannot be judged.
    """
    if isinstance(run, (str, os.PathLike)):
        loaded = load(run)
    else:
        loaded = run if isinstance(run, Run) else run.run()
    found = judge(loaded, select=select, ignore=ignore, on_error=_tell)
    return with_messages(found, loaded)


def _tell(code: str, error: Exception) -> None:
    warnings.warn(
        _(
            "Evenflow's rule {code} failed ({error}) and was left out; the other rules were judged."
        ).format(code=code, error=f"{type(error).__name__}: {error}"),
        RuntimeWarning,
        stacklevel=4,
    )
