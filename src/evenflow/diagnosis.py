"""From a run to findings in words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from .faults import View, drawn, judge
from .lang import _
from .schema import Finding, Run, Severity
from .store import load
from .words import with_messages

if TYPE_CHECKING:  # they are fetched where something is to be treated: a watch imports this file
    from .treatments import Facts

#: Treatments that are told of one finding.
MOST = 3


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
        Findings with messages and treatments, worst first.

    Raises:
        ValueError: an unknown code; StoreError (a ValueError): the file cannot be judged.

    >>> import tempfile, torch, evenflow
    >>> folder, model = tempfile.TemporaryDirectory(), torch.nn.Linear(2, 1)
    >>> with evenflow.watch(model, run=f"{folder.name}/run.evenflow", every=1) as watch:
    ...     model(torch.full((4, 2), torch.nan)).sum().backward()
    >>> [f"{f.code} {f.name}" for f in evenflow.diagnose(watch.path)]
    ['EF503 non-finite-input', 'EF103 non-finite']
    >>> folder.cleanup()
    """
    if isinstance(run, (str, os.PathLike)):
        loaded = load(run)
    else:
        loaded = run if isinstance(run, Run) else run.run()
    found = judge(loaded, select=select, ignore=ignore, on_error=_tell)
    return with_messages(_with_treatments(found, loaded), loaded)


def facts_of(run: Run) -> Facts:
    """What decides whether a treatment suits the network of a run."""
    from .treatments import of_run

    return replace(of_run(run), drawn=drawn(View(run)))


def _with_treatments(found: Sequence[Finding], run: Run) -> list[Finding]:
    """Each with texts for `treat_`, best first; what lies outside the model is told in words."""
    if not any(f.severity > Severity.info for f in found):
        return list(found)
    facts = facts_of(run)
    return [replace(f, treatments=_treatments(f, facts)) for f in found]


def _treatments(finding: Finding, facts: Facts) -> tuple[str, ...]:
    from .treatments import courses, read

    ranked, _refused = courses([finding], facts)
    given = (c for c in ranked if all(read(t).entry.apply for t in c.treatments))
    return tuple(str(c) for c in islice(given, MOST))


def _tell(code: str, error: Exception) -> None:
    warnings.warn(
        _(
            "Evenflow's rule {code} failed ({error}) and was left out; the other rules were judged."
        ).format(code=code, error=f"{type(error).__name__}: {error}"),
        RuntimeWarning,
        stacklevel=4,
    )
