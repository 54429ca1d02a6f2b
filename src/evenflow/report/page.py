"""The HTML report: one file that needs nothing else, not even a network."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from ..faults import Asked
from ..lang import TAGS, _, language, whole
from ..ledger import Ledger
from ..schema import Finding, Run, verdict
from ..words import title, with_messages
from .cards import CARDS, findings_section
from .grids import grids
from .markup import data, esc, pairs, section, short, tag
from .sentences import damage, facts, headline, names
from .tables import events_section, healed_section, layers_section, parameters_section, run_section
from .waterfall import card, ledger_section

_SCRIPTS = ("base.js", "curve.js", "heat.js", "start.js")
MARK = (
    '<svg class="mark" viewBox="0 0 40 24" aria-hidden="true">'
    '<path d="M2 6h10c5 0 6 3 10 3s6-3 16-3M2 12h36M2 18h10c5 0 6-3 10-3s6 3 16 3"/></svg>'
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
#: Points of the loss curve at most; each pixel column keeps its least and largest loss.
_POINTS = 1600


def html(run: Run, findings: Sequence[Finding], asked: Asked | None = None) -> str:
    """The report as one HTML file under 1 MB; `asked`: the rules asked, where some were left out.

    Everything is in it: no request leaves it, and its security policy forbids any. The script
    only draws; verdict, findings and figures are plain HTML and can be read without it.
    """
    spoken = sorted(with_messages(findings, run), key=lambda f: -f.severity)
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"{_POLICY}; script-src 'sha256-{digest}'"
    word = headline(run, spoken, asked)[0]
    body = "".join(
        (
            tag("a", _("Skip to the findings"), class_="skip", href="#findings"),
            header(run.name, run.meta.get("script") or ""),
            "<main>",
            _banner(run, spoken, asked),
            findings_section(run, spoken),
            healed_section(run),
            _charts(run),
            ledger_section(run),
            layers_section(run, spoken),
            parameters_section(run),
            events_section(run),
            run_section(run),
            "</main>",
            tag("footer", _("Written by Evenflow. Every number here was measured in this run.")),
            f'<script type="application/json" id="data">{data(_data(run, spoken))}</script>',
            f"<script>{script}</script>",
        )
    )
    return document(f"{run.name}: {word.lower()} · Evenflow", body, policy=policy)


def document(title: str, body: str, style: str = "", policy: str = _POLICY) -> str:
    """A page in the reports' style; its security policy forbids every request."""
    return (
        f'<!doctype html>\n<html lang="{TAGS[language()]}"><head><meta charset="utf-8">'
        '<meta name="generator" content="Evenflow">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{esc(title)}</title><style>{_asset('style.css')}{style}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def ledger_html(ledger: Ledger) -> str:
    """One ledger as an HTML file of its own; it needs no script and makes no request."""
    where = heading = ledger.run or _("a loss")
    if ledger.step is not None:
        heading = _("{name}, step {step}").format(name=where, step=whole(ledger.step))
    title = _("{name}: chain rule · Evenflow").format(name=where)
    foot = tag("footer", _("Written by Evenflow. Every number here was measured."))
    return document(title, f"{header(heading)}<main>{card(ledger)}</main>{foot}")


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def header(heading: str, script: str = "") -> str:
    """What stands on top of a page."""
    sub = tag("p", tag("code", esc(script)), class_="sub") if script else ""
    return tag("header", tag("p", MARK, "Evenflow", class_="brand"), tag("h1", esc(heading)), sub)


def _banner(run: Run, findings: Sequence[Finding], asked: Asked | None) -> str:
    word, text = headline(run, findings, asked)
    left_out = damage(run)
    found = verdict(findings, run, asked is not None)
    icon = {"healthy": "ok", "sick": "error", "warning": "warning"}.get(found, "none")
    worst = ""
    if findings and icon in ("warning", "error"):
        link = tag("a", esc(title(findings[0].code)), href="#finding-0")
        look = esc(_("Look first at {title} ({code})."))
        worst = tag("p", look.format(title=link, code=esc(findings[0].code)))
    figures = facts(run)
    return tag(
        "section",
        tag(
            "div",
            tag("h2", icon_of(icon), esc(word), id="verdict"),
            tag("p", esc(text), class_="said"),
            tag("p", esc(left_out), class_="said") if left_out else "",
            worst,
        ),
        pairs(figures, "facts") if figures else "",
        class_=f"banner {icon}",
        aria_labelledby="verdict",
    )


def icon_of(kind: str) -> str:
    """A shape for each verdict, so that colour never speaks alone."""
    path = {
        "ok": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zM7 12.5l3.5 3.5L17 9",
        "warning": "M12 3 1.8 21h20.4zM12 10v5M12 18v.4",
        "error": "M8 2h8l6 6v8l-6 6H8l-6-6V8zM8.5 8.5l7 7M15.5 8.5l-7 7",
        "none": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zM8 12h8",
    }[kind]
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/></svg>'


def _charts(run: Run) -> str:
    parts = []
    if np.isfinite(run.curve_loss).any():
        text = _("No update is known yet: each loss is one backward pass's.")
        lead = tag("p", text, class_="lead") if run.early else ""
        parts.append(section(_("Loss"), "loss", lead, tag("div", id="curve", class_="chart")))
    if len(run.steps) and run.sites:
        text = _(
            "Each row is a layer, from the data (top) to the loss (bottom); each "
            "column is a step at which everything was measured."
        )
        lead, chart = tag("p", text, class_="lead"), tag("div", id="heat", class_="chart")
        parts.append(section(_("Layers × steps"), "heat-title", lead, chart))
    if parts:
        off = _("The charts are drawn by a script, which is off.")
        parts.append(tag("noscript", tag("p", off)))
    return "".join(parts)


def _data(run: Run, findings: Sequence[Finding]) -> dict[str, Any]:
    """All that the script draws."""
    shown = grids(run, findings)
    used = sorted({row for grid in shown["grids"] for row in grid["rows"]})
    labels = names(run, [run.sites[i] for i in used])
    worst: dict[int, str] = {}
    for finding in findings:
        for site in finding.sites:
            worst.setdefault(site, finding.severity.name)
    return {
        **shown,
        "words": _script_words(),
        "names": {str(i): short(label, 80) for i, label in zip(used, labels, strict=True)},
        "named": {str(i): worst[i] for i in used if i in worst},
        "curve": _curve(run),
        "onsets": [
            {
                "code": f.code,
                "title": title(f.code),
                "step": f.first_step,
                "severity": f.severity.name,
                "at": f"#finding-{number}",
            }
            for number, f in enumerate(findings[:CARDS])
        ],
    }


def _script_words() -> dict[str, str]:
    """What the scripts say, in the language spoken; they look each text up as `_("...")`."""
    if language() == "en":
        return {}
    marked = re.findall(r'\b_\("([^"]+)"', "".join(_asset(name) for name in _SCRIPTS))
    return {text: _(text) for text in marked}


def _curve(run: Run) -> dict[str, Any]:
    """The loss curve, thinned to what can be seen; non-finite losses by their step."""
    good = np.isfinite(run.curve_loss)
    steps, losses = run.curve_steps[good], run.curve_loss[good]
    if len(steps) > _POINTS:
        parts = np.array_split(np.arange(len(steps)), _POINTS // 2)
        keep = {0, len(steps) - 1}
        for part in parts:
            keep |= {int(part[losses[part].argmin()]), int(part[losses[part].argmax()])}
        at = np.array(sorted(keep))
        steps, losses = steps[at], losses[at]
    return {
        "steps": steps.tolist(),
        "losses": [float(f"{loss:.5g}") for loss in losses],
        "broken": _stretches(run.curve_steps, ~good),
    }


def _stretches(steps: npt.NDArray[np.int64], bad: npt.NDArray[np.bool_]) -> list[list[int]]:
    """First and last step of each stretch of losses that are not finite; the first 200."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(np.int8)))
    pairs = zip(edges[::2], edges[1::2] - 1, strict=True)
    return [[int(steps[a]), int(steps[b])] for a, b in list(pairs)[:200]]
