"""The report for a terminal: verdict, findings, the gradient's profile, the cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..faults import Asked, faults
from ..lang import _
from ..schema import Finding, Run, Severity, interventions, verdict
from ..words import summaries, with_messages
from .fault import STYLE, Said, note, told_once, told_whole
from .layers import learning
from .network import network_of
from .printing import Printer, writable
from .sentences import damage, facts, headline, names, profile, remedies

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    Picture = Callable[[Run, Console], Sequence[Text]]

#: From the least to the largest, and where a terminal cannot write them.
BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "12345678"
#: More faults are counted, not told: the page has them all.
_MOST = 8


def text(
    run: Run,
    findings: Sequence[Finding],
    console: Console,
    asked: Asked | None = None,
    verbose: bool = False,
    picture: Picture | None = None,
) -> None:
    """Print the report; plain where the console is not a terminal.

    Each fault is told once, its cause first. `asked`: the rules that were asked, where some were
    left out. `verbose`: each finding with all its evidence, lines and advice. `picture`: lines to
    print below the profile, which only a layer above this one can draw.
    """
    write = Printer(console)
    spoken = sorted(with_messages(findings, run), key=lambda f: -f.severity)
    word, line = headline(run, spoken, asked)
    worst = max((f.severity for f in spoken), default=Severity.info)
    style = "bold green" if verdict(spoken, run, asked is not None) == "healthy" else STYLE[worst]
    write(("evenflow  ", "dim"), (word.upper(), style), f"  {line}")
    figures = [f"{key.lower()} {value}" for key, value in facts(run)]
    if figures:
        write((" · ".join(figures), "dim"))
    if left_out := damage(run):
        write((left_out, "bold yellow"))
    (_all_of if verbose else _told_once)(write, run, spoken)
    done = interventions(run.events)
    if done:
        write()
        for line in summaries(done):
            write((_("healed: "), "green"), line)
    _profile(write, run)
    for row in picture(run, console) if picture is not None else ():
        console.print(row, highlight=False, no_wrap=True, overflow="crop")


def _told_once(write: Printer, run: Run, spoken: Sequence[Finding]) -> None:
    network = network_of(run) if spoken else None
    found = faults(spoken)
    bad = [pair for pair in found if pair[0].severity > Severity.info]
    for root, followed in bad[:_MOST]:
        write()
        _paragraphs(write, told_once(run, root, followed, network))
    if len(bad) > _MOST:
        write()
        more = len(bad) - _MOST
        write(_("and {count} more: the HTML report has them all.").format(count=more))
    notes = [root for root, _followed in found if root.severity == Severity.info]
    if notes:
        write()
    _paragraphs(write, (note(run, finding) for finding in notes[:_MOST]))


def _all_of(write: Printer, run: Run, spoken: Sequence[Finding]) -> None:
    network = network_of(run) if spoken else None
    for finding in spoken:
        write()
        _paragraphs(write, told_whole(run, finding, remedies(finding, run, network)))


def _paragraphs(write: Printer, said: Iterable[Said]) -> None:
    for parts, indent, whole in said:
        write(*parts, indent=indent, whole=whole)


def _profile(write: Printer, run: Run) -> None:
    from rich.text import Text

    console = write.console
    unicode = writable(BARS, console.encoding) == BARS
    shown = strip(run, unicode, max(20, min(console.width - 4, 72)))
    if shown:
        write()
        write(shown[0])
        for row in shown[1:]:
            row = writable(row, console.encoding)
            console.print(Text(row), highlight=False, no_wrap=True, overflow="crop")


def strip(run: Run, unicode: bool, width: int) -> list[str]:
    """The gradient by layer as one row of bars, the layer nearest the data first.

    Each bar is one layer's latest log10 rms of δ (the least of several where the row is too
    narrow); "0" is exactly zero, "!" is not finite. Empty where nothing was measured.
    """
    sites = learning(run)
    sites = [s for s in sites if s.kind != "loss"] or sites
    heights = profile(run, sites)
    if sum(not math.isnan(h) for h in heights) < 2:
        return []
    known = [h for h in heights if math.isfinite(h)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    bars = BARS if unicode else ASCII_BARS
    marks = []
    for part in np.array_split(np.array(heights), min(width, len(heights))):
        part = part[~np.isnan(part)]
        if not len(part):
            marks.append(" ")
        elif np.isposinf(part).any():
            marks.append("!")
        elif np.isneginf(part).any():
            marks.append("0")
        else:
            place = (part.min() - low) / max(high - low, 1.0)
            marks.append(bars[min(len(bars) - 1, int(place * len(bars)))])
    first, last = (names(run, [site])[0] for site in (sites[0], sites[-1]))
    delta = "δ" if unicode else "delta"
    head = [_("gradient by layer, rms of {delta} at the latest step").format(delta=delta)]
    if known:
        ends = _("from {low} (low) to {high} (high)")
        head.append(ends.format(low=f"1e{low:.1f}", high=f"1e{high:.1f}"))
    if "0" in marks:
        head.append(_("0 exactly zero"))
    if "!" in marks:
        head.append(_("! not finite"))
    dash = "…" if unicode else ".."
    return [_(", ").join(head), "  " + "".join(marks), f"  {first} {dash} {last}"]
