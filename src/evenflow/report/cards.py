"""Findings as cards: what, where, evidence against threshold, the chain, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from ..lang import _, whole
from ..schema import Finding, Run
from ..words import Network, line, title, without_chain
from .excerpt import Row, excerpt
from .markup import and_more, esc, prose, short, table, tag
from .network import network_of
from .sentences import chain, evidence, names, remedies, severity, when

#: Sites named one by one; the rest are behind a click, and past the last only counted.
_FEW, _MOST = 6, 24
#: Findings that are open at first sight.
_OPEN = 1
#: Findings shown at most; a judge gives one per code, but a file may hold anything.
CARDS = 40
#: Limits within a card, for the same reason: rows of evidence, links, advice, characters a text.
_ROWS, _LINKS, _ADVICE, _LETTERS = 16, 8, 8, 600


def findings_section(run: Run, findings: Sequence[Finding]) -> str:
    """All findings, worst first."""
    if not findings:
        text = _("No rule found anything to report.") if len(run.steps) else _("Nothing to judge.")
        body = tag("p", text, class_="quiet")
    else:
        network = network_of(run)
        body = "".join(_card(run, f, number, network) for number, f in enumerate(findings[:CARDS]))
        body += and_more(len(findings) - CARDS)
    heading = tag("h2", _("Findings"), id="findings")
    return tag("section", heading, body, aria_labelledby="findings")


def _card(run: Run, finding: Finding, number: int, network: Network) -> str:
    kind = finding.severity.name
    head = tag(
        "h3",
        tag("span", esc(severity(finding)), class_="badge"),
        esc(title(finding.code)),
        " ",
        tag("code", esc(finding.code)),
        tag("span", esc(when(finding)), class_="when"),
        id=f"finding-{number}-title",
    )
    inside = [_lines(run, finding), _where(run, finding), _evidence(finding)]
    advice = remedies(finding, run, network)
    if advice:
        items = "".join(tag("li", prose(text[:_LETTERS])) for text in advice[:_ADVICE])
        inside.append(tag("div", tag("h4", _("What to do")), tag("ol", items), class_="advice"))
    if finding.treatments:
        texts = (tag("code", esc(text[:_LETTERS])) for text in finding.treatments[:_ADVICE])
        inside.append(tag("p", "treat_: ", " | ".join(texts), class_="advice"))
    # the message's last sentence tells the chain, which the card draws
    message = without_chain(finding.message) if len(finding.chain) > 1 else finding.message
    details = tag(
        "details",
        tag("summary", _("Where, evidence and what to do")),
        tag("div", *inside, class_="inside"),
        open=number < _OPEN,
    )
    return tag(
        "article",
        head,
        tag("p", prose(message[:_LETTERS]), class_="message"),
        _chain(run, finding),
        details,
        class_=f"card finding {kind}",
        id=f"finding-{number}",
        aria_labelledby=f"finding-{number}-title",
    )


def _chain(run: Run, finding: Finding) -> str:
    links = chain(finding, run)
    if len(links) < 2:
        return ""
    items = []
    for role, what, at, where in links[:_LINKS]:
        place = " · ".join(short(part, 80) for part in (at, where) if part)
        items.append(
            tag(
                "li",
                tag("span", esc(role), class_="role"),
                tag("strong", esc(what[:120])),
                tag("span", esc(place), class_="place") if place else "",
            )
        )
    return tag("ol", *items, class_="chain", aria_label=_("How it came about"))


def _where(run: Run, finding: Finding) -> str:
    sites = [run.sites[i] for i in finding.sites[:_MOST] if 0 <= i < len(run.sites)]
    places = names(run, sites) or list(finding.params[:_MOST])
    total = len(finding.sites) if sites else len(finding.params)
    if not places:
        return ""
    items = [tag("li", tag("code", esc(short(place, 100)))) for place in places]
    more = ""
    if len(items) > _FEW:
        if total > _MOST:
            items.append(tag("li", _("and {count} more").format(count=whole(total - _MOST))))
        count = _("{count} more").format(count=whole(total - _FEW))
        more = tag("details", tag("summary", count), tag("ul", *items[_FEW:]))
    shown = tag("ul", *items[:_FEW], class_="places")
    return tag("div", tag("h4", _("Where")), shown, more, class_="where")


def _lines(run: Run, finding: Finding) -> str:
    """Lines of the script, those around them, and a mark under the call."""
    parts = []
    for where in finding.where:
        rows = excerpt(run, where, before=2)
        code = "".join(map(_row, rows))
        parts.append(tag("p", tag("code", esc(line(where))), class_="line"))
        parts += [tag("pre", code, class_="source", tabindex=0)] if rows else []
    if not parts:
        return ""
    return tag("div", tag("h4", _("In the script")), *parts, class_="lines")


def _row(row: Row) -> str:
    """A line of source; the call in it is marked."""
    begin, end = (row.begin, row.end) if row.end else (len(row.text), len(row.text))
    call = tag("mark", esc(row.text[begin:end])) if row.end else ""
    number = tag("span", esc(f"{row.number:>5}  "), class_="quiet")
    return number + esc(row.text[:begin]) + call + esc(row.text[end:] + "\n")


def _evidence(finding: Finding) -> str:
    rows = evidence(finding)
    if not rows:
        return ""
    body = [
        tag(
            "tr",
            tag("th", esc(label[:80]), scope="row"),
            tag("td", esc(value)),
            tag("td", esc(limit) if limit else '<span class="quiet">–</span>'),
            class_="judged" if limit else None,
        )
        for label, value, limit in rows[:_ROWS]
    ]
    figures = table((_("Measured"), _("Value"), _("Threshold")), body)
    return tag("div", tag("h4", _("Evidence")), figures, class_="evidence")
