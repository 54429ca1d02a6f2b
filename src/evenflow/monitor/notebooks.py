"""In a notebook: a small picture of the training, below the cell that began the watch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..lang import _
from ..schema import Finding, Run, Site
from ..whose import strict
from .observer import Observer, SampledStep
from .processes import ranks
from .saying import say

#: Seconds between two pictures, at least; what they take counts as watching's, as every observer's.
PACE = 1.0


def in_notebook() -> bool:
    """Is this a kernel with a front end, and is a picture wanted (EVENFLOW_LIVE=0: none)?"""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    kernel = "ZMQInteractiveShell" in [c.__name__ for c in type(shell).__mro__]
    return kernel and os.environ.get("EVENFLOW_LIVE", "") != "0" and ranks()[0] == 0


def pictures(path: Path, live: bool) -> list[Observer]:
    """Who draws the run: one in a notebook, none elsewhere. It is not worth a training: what fails
    in it is said, and no more."""
    try:
        return [NotebookPicture(path)] if live and in_notebook() else []
    except Exception as e:
        if strict():
            raise
        said = _("Evenflow cannot draw in this notebook ({error}); training goes on.")
        say(said.format(error=f"{type(e).__name__}: {e}"))
        return []


class NotebookPicture(Observer):
    """Draws into the output of the cell in which it was made, from the observers' thread."""

    def __init__(self, path: Path) -> None:
        from ..views import Followed, live_html, pulse_of  # late: only a notebook pays for them

        self._run, self._html, self._pulse = Followed(path), live_html, pulse_of
        self._open: list[Finding] = []
        self._next = 0.0
        self._handle = _displayed(self._html(self._pulse(self._run), None))

    def sampled(self, step: SampledStep) -> None:
        if time.monotonic() >= self._next:
            self._draw()

    def opened(self, finding: Finding, sites: Sequence[Site]) -> None:
        self._open.append(finding)
        self._draw()

    def closed(self, finding: Finding, sites: Sequence[Site]) -> None:
        self._open = [f for f in self._open if f.code != finding.code]
        self._draw()

    def ended(self, run: Run, findings: Sequence[Finding]) -> None:
        from ..views import run_html

        self._handle.update(_Shown(run_html(run, findings)))

    def _draw(self) -> None:
        self._next = time.monotonic() + PACE
        self._run.look()
        worst = max(self._open, key=lambda f: f.severity, default=None)
        self._handle.update(_Shown(self._html(self._pulse(self._run), worst)))


class _Shown:
    """HTML, and a word where none is shown."""

    def __init__(self, html: str) -> None:
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return "evenflow: a picture of the training"


def _displayed(html: str) -> Any:
    """Display it; the handle by which it is updated."""
    display: Any = sys.modules["IPython.display"].display
    return display(_Shown(html), display_id=True)
