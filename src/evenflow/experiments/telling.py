"""A check-up for a terminal, and as a section of the HTML report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..faults import REGISTRY
from ..lang import N_, _
from ..report import document, esc, header, tag
from ..views import card
from .result import STATUS, Checkup, Tested

if TYPE_CHECKING:
    from rich.console import Console

VERDICT = {
    "healthy": N_("nothing failed"),
    "sick": N_("something is wired wrong"),
    "unjudged": N_("nothing could be judged"),
}
_MARK = {"passed": "ok", "failed": "FAIL", "not-applicable": "-", "unknown": "?"}


def render(checkup: Checkup, console: Console) -> None:
    """Print all of it, plain words and no markup."""
    for line in lines(checkup):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def lines(checkup: Checkup) -> list[str]:
    """The text, line by line."""
    word = _(VERDICT[checkup.verdict])
    spent = _("{seconds:.1f} s").format(seconds=checkup.seconds)
    told = [f"{_('check-up')} {checkup.name}: {word} · {spent}", ""]
    for t in checkup.tested:
        head = f"{t.experiment.number}  {_MARK[t.status]:<4}  {_(t.experiment.title)}"
        below = [t.said, *t.picture, f"→ {t.advice}" if t.advice else ""]
        if t.code in REGISTRY:
            below.append(_("More: {command}").format(command=f"evenflow rules {t.code}"))
        if t.treatments:
            below.append(_("Treatments: {list}").format(list=", ".join(t.treatments)))
        told += [f"{head}: {_(STATUS[t.status])}", *(f"         {row}" for row in below if row)]
    return told


def page_section(checkup: Checkup) -> str:
    """A card of the report: a table of the nine."""
    name = tag(
        "h2", esc(_("Check-up: {word}").format(word=_(VERDICT[checkup.verdict]))), id="checkup"
    )
    return tag("section", name, tag("div", _table(checkup), class_="scroll"), class_="card")


def _table(checkup: Checkup) -> str:
    rows = (_row(t) for t in checkup.tested)
    heads = (tag("th", esc(_(h)), scope="col") for h in (_("Experiment"), _("Result"), _("Why")))
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))


def checkup_html(checkup: Checkup) -> str:
    """For a notebook."""
    spent = _("{seconds:.1f} s").format(seconds=checkup.seconds)
    said = f"{_('check-up')} {checkup.name} · {spent}"
    return card(checkup.verdict, _(VERDICT[checkup.verdict]), said, _table(checkup))


def page(checkup: Checkup) -> str:
    """A page of its own."""
    body = f"{header(checkup.name)}<main>{page_section(checkup)}</main>"
    return document(_("Check-up of {name} · Evenflow").format(name=checkup.name), body)


def _row(t: Tested) -> str:
    why = [tag("p", esc(text)) for text in (t.said, t.advice) if text]
    if t.picture:
        why.append(tag("pre", esc("\n".join(t.picture))))
    head = tag("th", esc(f"{t.experiment.number}. {_(t.experiment.title)}"), scope="row")
    return tag("tr", head, tag("td", esc(_(STATUS[t.status]))), tag("td", *why))
