"""How a training went, in a notebook: below scikit-learn's diagram of a fitted estimator."""

from __future__ import annotations

import numpy as np

from ..lang import N_, _, whole
from ..schema import Severity
from ..views import card, curve_html, line
from ..words import number, title
from .outcome import FitReport

_WORDS = {"healthy": N_("Healthy"), "warning": N_("Warning"), "sick": N_("Sick")}
_MOST = 3


def fit_html(report: FitReport) -> str:
    """Verdict, losses, the first findings, what it gave itself, the curve of the loss."""
    kept = report.held_out or report.errors
    best = number(min(kept)) if kept else "?"
    said = _("loss {loss}, the best constant's {base}").format(
        loss=best, base=number(report.baseline)
    )
    figures = (
        (_("Epochs"), whole(report.epochs)),
        (_("Updates"), whole(report.steps)),
        (_("Training"), _("{seconds} s").format(seconds=number(report.seconds))),
    )
    bad = [f for f in report.findings if f.severity > Severity.info]
    return card(
        report.verdict,
        _(_WORDS[report.verdict]),
        said,
        line(" · ".join(f"{name.lower()} {value}" for name, value in figures), quiet=True),
        *(line(f"{f.code} {title(f.code)}: {f.message}") for f in bad[:_MOST]),
        *(line(f"{a.treatment}: {a.reason}", quiet=True) for a in report.treatments[:_MOST]),
        curve_html(np.array(kept, np.float64)),
    )
