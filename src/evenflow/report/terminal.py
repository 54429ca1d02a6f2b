"""The report for a terminal: verdict, findings, the gradient's profile, the cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..faults import Asked
from ..lang import _
from ..schema import Finding, Run, Severity, interventions, verdict
from ..words import breaks, has_wide, summaries, title, with_messages
from .layers import learning
from .network import network_of
from .sentences import (
    damage,
    evidence,
    facts,
    headline,
    names,
    profile,
    remedies,
    severity,
    when,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLE = {Severity.error: "bold red", Severity.warning: "bold yellow", Severity.info: "bold blue"}
_BARS = "▁▂▃▄▅▆▇█"
_ASCII = "12345678"
_PLAIN = str.maketrans("→·×…–−δΔ", ">,x.--dD")
_ONE_LINE = str.maketrans("\n\t", "  ")
#: More findings are counted, not told: the page has them all.
_MOST = 8


def text(
    run: Run, findings: Sequence[Finding], console: Console, asked: Asked | None = None
) -> None:
    """Print the report; plain where the console is not a terminal.

    `asked`: the rules that were asked, where some were left out.
    """
    from rich.text import Text

    write = _Lines(console)
    spoken = sorted(with_messages(findings, run), key=lambda f: -f.severity)
    word, line = headline(run, spoken, asked)
    worst = max((f.severity for f in spoken), default=Severity.info)
    style = "bold green" if verdict(spoken, run, asked is not None) == "healthy" else _STYLE[worst]
    write(("evenflow  ", "dim"), (word.upper(), style), f"  {line}")
    figures = [f"{key.lower()} {value}" for key, value in facts(run)]
    if figures:
        write((" · ".join(figures), "dim"))
    if left_out := damage(run):
        write((left_out, "bold yellow"))
    advised: set[str] = set()
    network = network_of(run) if spoken else None
    for finding in spoken[:_MOST]:
        write()
        advice = [a for a in remedies(finding, run, network) if a not in advised][:2]
        advised.update(advice)  # findings of one cause share their advice: say it once
        _finding(write, finding, advice)
    if len(spoken) > _MOST:
        write()
        more = len(spoken) - _MOST
        write(_("and {count} more: the HTML report has them all.").format(count=more))
    done = interventions(run.events)
    if done:
        write()
        for line in summaries(done):
            write((_("healed: "), "green"), line)
    unicode = writable(_BARS, console.encoding) == _BARS
    shown = strip(run, unicode, max(20, min(console.width - 4, 72)))
    if shown:
        write()
        write(shown[0])
        for row in shown[1:]:
            row = writable(row, console.encoding)
            console.print(Text(row), highlight=False, no_wrap=True, overflow="crop")


class _Lines:
    """Writes lines to a console, each one alone: what a file says begins no line of ours."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        from rich.text import Text

        body = Text.assemble(*parts)
        body.plain = writable(body.plain.translate(_ONE_LINE), self.console.encoding)
        print_wrapped(self.console, body, indent)


def print_wrapped(console: Console, body: Text, indent: int, whole: bool = False) -> None:
    """Print text in lines that fit, or `whole` (a table's row)."""
    from rich.text import Text

    width, pieces = console.width - indent, [body]
    if not whole and has_wide(body.plain):  # rich breaks at spaces only, and Chinese has none
        pieces = list(body.divide(breaks(body.plain, width)))
    if not whole:
        pieces = [row for part in pieces for row in part.wrap(console, width)] or [Text()]
    for row in pieces:
        row.rstrip()
        row.pad_left(indent)
        console.print(row, highlight=False, soft_wrap=True)


def _finding(write: _Lines, finding: Finding, advice: Sequence[str]) -> None:
    from rich.cells import cell_len

    word = severity(finding)
    write(
        (word + " " * max(8 - cell_len(word), 1), _STYLE[finding.severity]),
        (f"{finding.code} {title(finding.code)}", "bold"),
        (f"  {when(finding)}", "dim"),
    )
    write(finding.message, indent=2)
    more = [
        _("{label} {value}").format(label=label, value=value)
        for label, value, limit in evidence(finding)
        if not limit
    ][:3]
    if more:
        line = _("also measured: {figures}").format(figures=_(", ").join(more))
        write((line, "dim"), indent=2)
    for text in advice:
        write((_("try: "), "green"), text, indent=2)
    if finding.treatments:
        write(("treat_: ", "green"), " | ".join(finding.treatments), indent=2)


def writable(text: str, encoding: str) -> str:
    """The same text, as long as before, in characters the terminal can take."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text


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
    bars = _BARS if unicode else _ASCII
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
