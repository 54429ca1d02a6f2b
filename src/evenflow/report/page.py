"""The HTML report: one file that needs nothing else, not even a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from ..faults import Asked
from ..lang import TAGS, _, language, whole
from ..ledger import Ledger
from ..schema import Finding, Run, verdict
from ..words import title, with_messages
from .cards import findings_section
from .markup import esc, pairs, tag
from .sentences import damage, facts, headline
from .tables import events_section, healed_section, layers_section, parameters_section, run_section
from .waterfall import card, ledger_section

MARK = (
    '<svg class="mark" viewBox="0 0 40 24" aria-hidden="true">'
    '<path d="M2 6h10c5 0 6 3 10 3s6-3 16-3M2 12h36M2 18h10c5 0 6-3 10-3s6 3 16 3"/></svg>'
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(
    run: Run,
    findings: Sequence[Finding],
    asked: Asked | None,
    views: str,
    script: str,
    style: str,
) -> str:
    """A run's report as one HTML file; `asked`: the rules asked, where some were left out.

    Everything is in it: no request leaves it, and its security policy forbids any. Verdict,
    findings and figures are plain HTML and can be read without a script.

    Args:
        views: what stands between the findings and the tables.
        script, style: what it needs, beside our own.
    """
    spoken = sorted(with_messages(findings, run), key=lambda f: -f.severity)
    word = headline(run, spoken, asked)[0]
    body = "".join(
        (
            tag("a", _("Skip to the findings"), class_="skip", href="#findings"),
            header(run.name, run.meta.get("script") or ""),
            "<main>",
            _banner(run, spoken, asked),
            findings_section(run, spoken),
            healed_section(run),
            views,
            ledger_section(run),
            layers_section(run, spoken),
            parameters_section(run),
            events_section(run),
            run_section(run),
            "</main>",
            tag("footer", _("Written by Evenflow. Every number here was measured in this run.")),
        )
    )
    return document(f"{run.name}: {word.lower()} · Evenflow", body, style, script)


def document(title: str, body: str, style: str = "", script: str = "") -> str:
    """A page in the reports' style; its security policy forbids every request, and every script
    but this one, which is run at the end."""
    policy, tail = _POLICY, ""
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"{_POLICY}; script-src 'sha256-{digest}'; img-src data: blob:"
        tail = f"<script>{script}</script>"
    return (
        f'<!doctype html>\n<html lang="{TAGS[language()]}"><head><meta charset="utf-8">'
        '<meta name="generator" content="Evenflow">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{esc(title)}</title><style>{_asset('style.css')}{style}</style></head>"
        f"<body>{body}{tail}</body></html>\n"
    )


def ledger_html(ledger: Ledger) -> str:
    """One ledger as an HTML file of its own; it needs no script and makes no request."""
    where = heading = ledger.run or _("a loss")
    if ledger.step is not None:
        heading = _("{name}, step {step}").format(name=where, step=whole(ledger.step))
    title = _("{name}: chain rule · Evenflow").format(name=where)
    foot = tag("footer", _("Written by Evenflow. Every number here was measured."))
    return document(title, f"{header(heading)}<main>{card(ledger)}</main>{foot}")


def own_script() -> str:
    """What makes tables sort, and a link to a finding open it."""
    return _asset("start.js")


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
