"""A run, a ledger or a training that goes on as a small piece of HTML for a notebook.

Nothing in it runs or is fetched, and every style stands in its element: it is shown alike in a
trusted and an untrusted notebook, on GitHub and in VS Code. Colours are the page's own, or read on
light and on dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..diagnosis import diagnose
from ..faults import faults
from ..lang import _, whole
from ..ledger import Ledger, place, signed
from ..ledger import headline as ledger_headline
from ..ledger import sentences as ledger_sentences
from ..report import Said, damage, esc, facts, headline, network_of, tag, told_once
from ..schema import Finding, Run, Severity, verdict
from ..words import with_messages, without_chain
from .images import BLUE, curve_uri, picture_uri
from .pulse import Pulse
from .pyramid import BROKEN, TOP, ZERO
from .strip import Strip, strip_of

#: Of verdicts and severities; every other is grey.
COLOURS = {"healthy": "#2e9e5b", "warning": "#c98a00", "sick": "#d64545", "error": "#d64545"}
#: Faults told, rows of a table, layers and columns of a picture, its pixels.
_FAULTS, _ROWS, _LAYERS, _COLUMNS = 3, 12, 80, 480
_WIDE, _HIGH = 480, 160
_QUIET = "opacity: .7; font-size: 90%"


def card(kind: str, word: str, said: str, *parts: str) -> str:
    """A frame with a verdict in front; parts are HTML already."""
    colour = COLOURS.get(kind, "#888888")
    style = (
        f"border: 1px solid #88888866; border-left: 4px solid {colour}; border-radius: 4px; "
        "padding: 8px 12px; max-width: 720px; line-height: 1.45; text-align: left"
    )
    mark = tag("span", "● ", style=f"color: {colour}", aria_hidden="true")
    head = tag("div", mark, tag("strong", esc(word)), "  ", esc(said))
    return tag("div", head, *parts, style=style)


def line(text: str, quiet: bool = False) -> str:
    """A paragraph; the text is escaped here."""
    return tag("div", esc(text), style=_QUIET if quiet else None)


def said_html(said: Iterable[Said]) -> str:
    """What `report.told_once` gives; lines of the script keep their columns."""
    out: list[str] = []
    code: list[str] = []
    for part in said:
        if part.whole:
            code.append(part.text)
            continue
        text = esc(part.text)
        head = text if part.indent else tag("strong", text)
        out += [_code(code), tag("div", head, style=f"margin-left: {part.indent / 2}em")]
        code = []
    return "".join([*out, _code(code)])


def _code(rows: Sequence[str]) -> str:
    text = "\n".join(esc(row) for row in rows)
    return tag("pre", text, style="margin: 2px 0 4px 1em; overflow-x: auto") if rows else ""


def told(run: Run, findings: Sequence[Finding]) -> str:
    """The first faults, each once, with the line of the script."""
    bad = [pair for pair in faults(findings) if pair[0].severity > Severity.info]
    network = network_of(run) if bad else None
    out = []
    for root, followed in bad[:_FAULTS]:
        said = said_html(told_once(run, root, followed, network))
        out.append(tag("div", said, style="margin-top: 8px"))
    if len(bad) > _FAULTS:
        more = _("and {count} more: the HTML report has them all.")
        out.append(line(more.format(count=len(bad) - _FAULTS), quiet=True))
    return "".join(out)


def run_html(run: Run, findings: Sequence[Finding] | None = None) -> str:
    """Verdict, figures, the first faults, layers x steps and the loss."""
    found = diagnose(run) if findings is None else findings
    spoken = sorted(with_messages(found, run), key=lambda f: -f.severity)
    word, said = headline(run, spoken)
    figures = " · ".join(f"{key.lower()} {value}" for key, value in facts(run))
    return card(
        verdict(spoken, run),
        word,
        said,
        line(figures, quiet=True) if figures else "",
        line(damage(run)) if damage(run) else "",
        told(run, spoken),
        picture_html(strip_of(run)),
        curve_html(run.curve_loss),
    )


def live_html(now: Pulse, worst: Finding | None) -> str:
    """A training that goes on."""
    figures = "  ".join(f"{name} {value}" for name, value in now.figures())
    kind = worst.severity.name if worst is not None else ""
    said = f"{worst.code} {without_chain(worst.message)}" if worst is not None else ""
    return card(
        kind,
        _("training"),
        figures,
        line(said) if said else "",
        picture_html(now.strip),
        curve_html(now.losses),
    )


def picture_html(strip: Strip | None) -> str:
    """Layers x steps with names, steps and colours; "" where nothing was measured."""
    if strip is None:
        return ""
    codes = strip.within(_LAYERS, _COLUMNS).codes
    uri, width, height = picture_uri(codes, _WIDE, _HIGH)
    scale, across, down = picture_uri(np.arange(0, TOP, 5, dtype=np.uint8)[None], 100, 10)
    low, high = (f"1e{end:.1f}" for end in (strip.scale.low, strip.scale.high))
    said = _("gradient by layer and step, rms of {delta}").format(delta="δ")
    odd = {ZERO: _("black: exactly zero"), BROKEN: _("red: not finite")}
    marks = [text for code, text in odd.items() if (strip.codes == code).any()]
    steps = _("step {first} to {last}").format(
        first=whole(strip.steps[0]), last=whole(strip.steps[1])
    )
    frame = "image-rendering: pixelated; display: block; max-width: 100%"
    bar = tag("img", src=scale, width=across, height=down, alt="", style="display: inline")
    head = (esc(said), "  ", esc(low), " ", bar, " ", esc("; ".join([high, *marks])))
    return tag(
        "div",
        tag("div", *head),
        line(_("data: {name}").format(name=strip.names[0][0]), quiet=True),
        tag("img", src=uri, width=width, height=height, alt=said, style=frame),
        line(_("loss: {name}").format(name=strip.names[-1][1]), quiet=True),
        line(steps, quiet=True) if strip.steps[0] != strip.steps[1] else "",
        style="margin-top: 8px",
    )


def curve_html(losses: npt.NDArray[np.float64]) -> str:
    """The loss of every step; "" where none is known."""
    if len(losses) < 2:
        return ""
    uri = curve_uri(losses, _WIDE, 40)
    image = tag("img", src=uri, width=_WIDE, height=40, alt=_("loss"), style="display: block")
    return tag("div", line(_("loss"), quiet=True), image, style="margin-top: 8px")


def ledger_html(ledger: Ledger) -> str:
    """The headline, who did most of it, and the factors that moved the error the most."""
    said = "".join(tag("li", esc(text)) for text in ledger_sentences(ledger))
    links = [(i, f.gain) for i, f in enumerate(ledger.links)]
    most = sorted(links, key=lambda pair: -abs(np.nan_to_num(pair[1], nan=0.0)))[:_ROWS]
    rows = "".join(_factor(ledger, i) for i, _gain in sorted(most))
    heads = (_("Factor"), _("Decades"), "")
    table = tag("table", tag("tr", *(tag("th", esc(h)) for h in heads)), rows)
    left = len(links) - len(most)
    more = _("And {count} more.").format(count=whole(left)) if left > 0 else ""
    name = ledger.run or _("chain rule")
    return card("", name, ledger_headline(ledger), tag("ul", said), table, line(more, quiet=True))


def _factor(ledger: Ledger, at: int) -> str:
    link = ledger.links[at]
    gains = [abs(f.gain) for f in ledger.links if np.isfinite(f.gain)]
    share = abs(link.gain) / max([*gains, 1e-9]) if np.isfinite(link.gain) else 1.0
    style = f"width: {round(120 * share)}px; height: 10px; background: {BLUE}"
    cells = (esc(place(link)), esc(signed(link.gain)), tag("div", style=style))
    return tag("tr", *(tag("td", cell, style="text-align: left") for cell in cells))
