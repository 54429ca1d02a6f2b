"""A cure in words and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..lang import N_, _, ngettext
from ..words import CURE_VERDICTS
from .goal import Tried
from .record import Cure, Edit
from .score import Estimate, estimate, loss_at

if TYPE_CHECKING:
    from rich.console import Console

_ENDED = {
    "refused": N_("refused"),
    "error": N_("failed"),
    "time": N_("too slow"),
    "killed": N_("stopped"),
}


def render(cure: Cure, console: Console) -> None:
    """Print all of it."""
    from rich.cells import cell_len, set_cell_size

    def say(line: str = "") -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    told = [(_("verdict:"), said(cure)), *found(cure)]
    if cure.verdict == "healthy":
        say(" ".join(told[0]))
        return
    wide = max(cell_len(name) for name, _text in told)
    for name, text in told:
        say(f"{set_cell_size(name, wide)} {text}")
    say()
    _table(cure, console)
    for head, rows in to_do(cure):
        say("\n".join(("", head, *rows)))


def said(cure: Cure) -> str:
    """The verdict in words."""
    seeds = cure.comparison.seeds if cure.comparison else 0
    return _(CURE_VERDICTS[cure.verdict]).format(n=seeds)


def found(cure: Cure) -> list[tuple[str, str]]:
    """What it suffered from, what was chosen, and the figures: name and text."""
    told = []
    if cure.findings:
        told.append((_("found:"), ", ".join(cure.findings)))
    if cure.lines:
        told.append((_("at:"), "; ".join(cure.lines)))
    if cure.chosen:
        told.append((_("chosen:"), cure.chosen))
    if cure.comparison is not None:
        told.append((_("before:"), f"{_interval(cure.before)}   ({cure.goal})"))
        better = _("better on {wins} of {seeds} seeds").format(
            wins=cure.comparison.wins, seeds=cure.comparison.seeds
        )
        told.append((_("after:"), f"{_interval(cure.after)}   {better}"))
        gain = cure.comparison.gain
        if gain.mean is not None:
            paired = _("paired by seed, same data order")
            told.append((_("gain:"), f"{_interval(gain, seeds=False)}   {paired}"))
    return told + [(_("note:"), note) for note in cure.notes]


def to_do(cure: Cure) -> list[tuple[str, list[str]]]:
    """What is left to do or to know: a heading and its rows each."""
    told = (
        (_("Refused:"), [f"  {treatment}: {why}" for treatment, why in cure.refused]),
        (_("As an edit of your script:"), _edits(cure.chosen_edits)),
        (_("Proposed, not tried (outside the model):"), _edits(cure.proposed)),
        (
            _("As one line, before the first training step:"),
            [f"    {cure.line}"] if cure.line else [],
        ),
        (_("Not controlled:"), [f"  - {sentence}" for sentence in cure.uncontrolled]),
    )
    return [(head, rows) for head, rows in told if rows]


def number(value: float | None) -> str:
    """Four digits; "null" for what was not finite or not there."""
    return "null" if value is None else f"{value:.4g}"


def _interval(estimate: Estimate, seeds: bool = True) -> str:
    said = number(estimate.mean)
    if estimate.low is not None and estimate.high is not None:
        said += f" [{number(estimate.low)}, {number(estimate.high)}]"
    if seeds and len(estimate.per_seed) > 1:
        values = ", ".join(map(number, estimate.per_seed))
        said += "   " + _("per seed {values}").format(values=values)
    return said


def _table(cure: Cure, console: Console) -> None:
    from rich.table import Table

    table = Table(*heads(), box=None, pad_edge=False, header_style="", show_edge=False)
    for i, column in enumerate(table.columns):
        column.overflow, column.justify = "fold", "right" if i in (2, 3, 4) else "left"
    for row in tried(cure):
        table.add_row(*row)
    console.print(table, highlight=False, markup=False)


def heads() -> tuple[str, ...]:
    """Of the columns of `tried`."""
    return _("treatment"), _("stage"), _("steps"), _("training loss"), _("metric"), ""


def tried(cure: Cure) -> list[tuple[str, ...]]:
    """A row for each trial; seeds of the proof are one."""
    rows: list[tuple[str, ...]] = []
    confirmed: dict[str, list[Tried]] = {}
    for tried in cure.trials:
        if tried.stage == "confirm":
            confirmed.setdefault(tried.text, []).append(tried)
        else:
            outcome, loss = tried.outcome, loss_at(tried.outcome, tried.job.steps)
            steps, ended = str(outcome.steps), _(_ENDED.get(outcome.ended, ""))
            name, metric = tried.text or _("(untreated)"), number(outcome.metric)
            rows.append((name, tried.stage, steps, number(loss), metric, ended))
    for name, runs in confirmed.items():
        losses = _interval(estimate([loss_at(t.outcome) for t in runs]), seeds=False)
        metrics = _interval(estimate([t.outcome.metric for t in runs]), seeds=False)
        words = ngettext("{n} more seed", "{n} more seeds", len(runs)).format(n=len(runs))
        steps = str(max(t.outcome.steps for t in runs))
        rows.append((name or _("(untreated)"), "confirm", steps, losses, metrics, words))
    return rows


def _edits(edits: Sequence[Edit]) -> list[str]:
    said = []
    for edit in edits:
        said.append(f"  # {edit.treatment}{': ' + edit.why if edit.why else ''}")
        said += [f"  {line}" for line in edit.code.splitlines()]
    return said
