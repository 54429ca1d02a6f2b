"""The report: a run, or two on one scale, as one HTML file with the live page's own views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..faults import Asked
from ..lang import _
from ..report import (
    document,
    esc,
    header,
    headline,
    own_script,
    page,
    section,
    severity,
    tag,
)
from ..schema import Finding, Run
from ..words import title, with_messages
from .bundle import asset, script
from .kept import kept, packed
from .words import words


def html(
    run: Run,
    findings: Sequence[Finding],
    asked: Asked | None = None,
    beside: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The report as one HTML file under 2 MB; `asked`: the rules asked, where some were left out;
    `beside`: forecasts of it, as the page is told them.

    Everything is in it: no request leaves it, and its security policy forbids any. Verdict,
    findings and figures are plain HTML and can be read without the script.
    """
    shown = ""
    if len(run.steps) or len(run.curve_steps):
        lead = tag("p", _("Each row is a layer, from the data (top) to the loss (bottom)."))
        if run.early:
            lead += tag("p", _("No update is known yet: each loss is one backward pass's."))
        shown = _views({run.name: (run, findings)}, lead, beside)
    return page(run, findings, asked, shown, _script(shown), _style(shown))


def pair_html(a: tuple[Run, Sequence[Finding]], b: tuple[Run, Sequence[Finding]]) -> str:
    """Two runs side by side on one scale, as one HTML file; the first is called by its name, and
    so is the second, or by its name and "(2)" where they are the same."""
    names = a[0].name, b[0].name if b[0].name != a[0].name else f"{b[0].name} (2)"
    runs: Mapping[str, tuple[Run, Sequence[Finding]]] = dict(zip(names, (a, b), strict=True))
    shown = _views(runs, "")
    heading = " ↔ ".join(names)
    judged = [
        tag("div", tag("h2", esc(name)), *_told(run, found), class_="card")
        for name, (run, found) in runs.items()
    ]
    body = "".join(
        (
            header(heading),
            "<main>",
            tag("section", *judged, class_="both"),
            shown,
            "</main>",
            tag("footer", _("Written by Evenflow. Every number here was measured in these runs.")),
        )
    )
    return document(f"{heading} · Evenflow", body, _style(shown), _script(shown))


def net_html(title: str, name: str, net: Mapping[str, Any], text: str = "") -> str:
    """A small network to be stepped by hand, as one HTML file.

    Args:
        net: x, t, loss, eta, alpha and layers, as a file of `evenflow step` has them.
        text: HTML that stands before it.
    """
    kept_there = {"words": words(), "runs": {}, "nets": {name: net}}
    shown = tag("div", id="views", class_="card")
    data = f'<script type="text/plain" id="kept">{packed(kept_there)}</script>'
    body = f"{header(title)}<main>{text}{shown}{_off()}{data}</main>"
    return document(f"{title} · Evenflow", body, _style(shown), _script(shown))


def _told(run: Run, findings: Sequence[Finding]) -> tuple[str, str]:
    """The verdict, and what was found in a line each."""
    spoken = sorted(with_messages(findings, run), key=lambda f: -f.severity)
    word, text = headline(run, spoken)
    rows = (tag("li", esc(f"{severity(f)}: {title(f.code)} ({f.code})")) for f in spoken[:8])
    return tag("p", tag("strong", esc(word)), " ", esc(text)), tag("ul", *rows)


def _views(
    runs: Mapping[str, tuple[Run, Sequence[Finding]]],
    lead: str,
    beside: Sequence[Mapping[str, Any]] = (),
) -> str:
    return "".join(
        (
            section(_("Layers × steps"), "views-title", lead, tag("div", id="views")),
            _off(),
            f'<script type="text/plain" id="kept">{packed(kept(runs, beside))}</script>',
        )
    )


def _off() -> str:
    return tag("noscript", tag("p", _("The pictures are drawn by a script, which is off.")))


def _script(shown: str) -> str:
    return f"{script('single.js') if shown else ''}\n{own_script()}"


def _style(shown: str) -> str:
    """The page's own style, for the part that is its own."""
    if not shown:
        return ""
    return f"{asset('vendor/uPlot.min.css')}#views{{{asset('views.css')}}}"
