"""A cure in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .record import Cure, Edit
from .score import Estimate, loss_at
from .search import Tried

if TYPE_CHECKING:
    from rich.console import Console

_SAID = {
    "healthy": "healthy, nothing to do",
    "cured": "cured, proven over {n} seeds",
    "improved": "improved; not proven beyond chance",
    "unproven": "promising; not proven",
    "uncured": "nothing that was tried is better than the script as it is",
    "edit": "no treatment of the model mends it; a change to the script is proposed",
}
_ENDED = {
    "refused": "refused",
    "error": "failed",
    "time": "too slow",
    "killed": "stopped",
}


def tell(cure: Cure, console: Console) -> None:
    """Print all of it."""

    def say(line: str = "") -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    seeds = cure.comparison.seeds if cure.comparison else 0
    say(f"verdict: {_SAID[cure.verdict].format(n=seeds)}")
    if cure.verdict == "healthy":
        return
    if cure.findings:
        say(f"found:   {', '.join(cure.findings)}")
    if cure.chosen:
        say(f"chosen:  {cure.chosen}")
    if cure.comparison is not None:
        say(f"before:  {_interval(cure.before)}   ({cure.goal})")
        say(f"after:   {_interval(cure.after)}   better on {_wins(cure)} seeds")
        gain = cure.comparison.gain
        if gain.mean is not None:
            say(f"gain:    {_interval(gain, seeds=False)}   paired by seed, same data order")
    for note in cure.notes:
        say(f"note:    {note}")
    say()
    _table(cure, console)
    _refusals(cure, say)
    for words, edits in (
        ("As an edit of your script:", cure.chosen_edits),
        ("Proposed, not tried (outside the model):", cure.proposed),
    ):
        if edits:
            say()
            say(words)
            for edit in edits:
                _edit(edit, say)
    if cure.line:
        say()
        say("As one line, before the first training step:")
        say(f"    {cure.line}")
    if cure.uncontrolled:
        say()
        say("Not controlled:")
        for sentence in cure.uncontrolled:
            say(f"  - {sentence}")


def number(value: float | None) -> str:
    """Four digits; "null" for what was not finite or not there."""
    return "null" if value is None else f"{value:.4g}"


def _interval(estimate: Estimate, seeds: bool = True) -> str:
    said = number(estimate.mean)
    if estimate.low is not None and estimate.high is not None:
        said += f" [{number(estimate.low)}, {number(estimate.high)}]"
    if seeds and len(estimate.per_seed) > 1:
        said += f"   per seed {', '.join(map(number, estimate.per_seed))}"
    return said


def _wins(cure: Cure) -> str:
    assert cure.comparison is not None
    return f"{cure.comparison.wins} of {cure.comparison.seeds}"


def _table(cure: Cure, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="", show_edge=False)
    for head, side in (
        ("treatment", "left"),
        ("stage", "left"),
        ("steps", "right"),
        ("training loss", "right"),
        ("metric", "right"),
        ("", "left"),
    ):
        table.add_column(head, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in _rows(cure):
        table.add_row(*row)
    console.print(table, highlight=False, markup=False)


def _rows(cure: Cure) -> list[tuple[str, ...]]:
    rows = []
    confirmed: dict[tuple[str, str], list[Tried]] = {}
    for tried in cure.trials:
        if tried.stage == "confirm":
            confirmed.setdefault((tried.text, tried.stage), []).append(tried)
        else:
            rows.append(_row(tried))
    for (name, stage), runs in confirmed.items():
        from .score import estimate

        losses = estimate([loss_at(t.outcome) for t in runs])
        metrics = estimate([t.outcome.metric for t in runs])
        words = f"{len(runs)} more seed{'s' if len(runs) > 1 else ''}"
        rows.append(
            (
                name or "(untreated)",
                stage,
                str(max(t.outcome.steps for t in runs)),
                _interval(losses, seeds=False),
                _interval(metrics, seeds=False),
                words,
            )
        )
    return rows


def _row(tried: Tried) -> tuple[str, ...]:
    outcome = tried.outcome
    return (
        tried.text or "(untreated)",
        tried.stage,
        str(outcome.steps),
        number(loss_at(outcome, tried.job.steps)),
        number(outcome.metric),
        _ENDED.get(outcome.ended, ""),
    )


def _refusals(cure: Cure, say: object) -> None:
    assert callable(say)
    if cure.refused:
        say()
        say("Refused:")
        for treatment, why in cure.refused:
            say(f"  {treatment}: {why}")


def _edit(edit: Edit, say: object) -> None:
    assert callable(say)
    say(f"  # {edit.treatment}{': ' + edit.why if edit.why else ''}")
    for line in edit.code.splitlines():
        say(f"  {line}")
