"""What became of a fit: its history while it runs, and a frozen report at the end."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..lazy import shown_by
from ..schema import Finding, verdict


@dataclass(frozen=True, slots=True)
class Applied:
    """One treatment that a fit gave itself.

    Attributes:
        treatment: its text, as in `evenflow.treatments` ("init=lsuv-centred", "lr=*0.3").
        epoch: before which epoch, from 0.
        reason: what was measured, and why this treats it.
    """

    treatment: str
    epoch: int
    reason: str


def least(errors: Iterable[float]) -> float:
    """The least finite error; infinite without one."""
    return min(filter(math.isfinite, errors), default=math.inf)


@dataclass(slots=True)
class History:
    """How a training went so far; the fields are those of `FitReport`."""

    stopped: str = "epochs"
    epochs: int = 0
    steps: int = 0
    best_epoch: int = 0
    errors: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)

    @property
    def least(self) -> float:
        """The least error that was judged; infinite without a finite one."""
        return least(self.held_out or self.errors)

    def unlearned(self, baseline: float) -> bool:
        """Did the training error stay at the best constant's? An error of 0 cannot be beaten."""
        return baseline > 1e-9 and self.steps >= 50 and least(self.errors) > 0.999 * baseline

    def report(self, **facts: Any) -> FitReport:
        """The report, with the `facts` that a history does not hold."""
        return FitReport(
            self.stopped, self.epochs, self.steps, self.best_epoch, errors=tuple(self.errors),
            held_out=tuple(self.held_out), rates=tuple(self.rates), **facts,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a training went; `print(model.fit_report_)` tells it.

    Attributes:
        stopped: which rule ended it: "epochs", "error", "patience", "gradient", "time" or
            "diverged" (the last good weights are kept).
        epochs: epochs run; steps: updates made.
        best_epoch: the epoch whose weights were kept, counted from 1.
        seconds: wall time of training.
        errors: mean loss of each epoch's batches, or over all the training data after each epoch
            where a stopping rule asks for that (then `errors[0]` is before the first).
        held_out: loss on the validation rows before the first epoch and after each; () without
            them.
        rates: learning rate at the end of each epoch.
        baseline: the loss of the best constant prediction on the training data.
        findings: what preflight saw at the start of the network that was trained, worst first.
        treatments: what it gave itself, in order.
        settings: what `auto` came to.
    """

    stopped: str
    epochs: int
    steps: int
    best_epoch: int
    seconds: float
    errors: tuple[float, ...]
    held_out: tuple[float, ...]
    rates: tuple[float, ...]
    baseline: float
    findings: tuple[Finding, ...] = ()
    treatments: tuple[Applied, ...] = ()
    settings: dict[str, object] = field(default_factory=dict)

    _repr_html_ = shown_by("evenflow.fit.fit_card", "fit_html")

    @property
    def learned(self) -> bool:
        """Is the kept network's loss below that of the best constant?"""
        judged = self.held_out or self.errors
        return bool(judged) and min(judged) < self.baseline

    @property
    def verdict(self) -> str:
        """ "healthy", "warning" or "sick": of the start, and sick where nothing was learned."""
        return verdict(self.findings) if self.learned else "sick"

    def __str__(self) -> str:
        last = self.held_out or self.errors
        parts = [
            f"{self.verdict}: {self.epochs} epochs, {self.steps} steps, {self.seconds:.1f} s; "
            f"stopped by {self.stopped}",
            f"loss {min(last):.4g} (best constant {self.baseline:.4g})" if last else "",
            *(f"{f.code} {f.name}: {f.message}" for f in self.findings),
            *(f"epoch {t.epoch}: {t.treatment} ({t.reason})" for t in self.treatments),
        ]
        return "\n".join(line for line in parts if line)
