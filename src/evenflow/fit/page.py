"""The report of a fit: one HTML file with curves, metrics and their picture; no script in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

from ..lang import N_, _, whole
from ..report import document, esc, header, icon_of, pairs, tag
from ..showing import shown
from ..words import number, title
from .columns import Column
from .drawing import confusion, curves, predictions
from .judging import Judged
from .outcome import FitReport

_WORDS = {"healthy": N_("Healthy"), "warning": N_("Warning"), "sick": N_("Sick")}
_ICONS = {"healthy": "ok", "warning": "warning", "sick": "error"}
#: What `FitReport.stopped` means.
STOPPED = {
    "epochs": N_("all epochs were run"),
    "error": N_("the error fell below the level asked for"),
    "patience": N_("no better epoch came"),
    "gradient": N_("the gradient fell below the level asked for"),
    "time": N_("the time was up"),
    "diverged": N_("the loss was not finite; the last good weights are kept"),
}
_KINDS = {
    "number": N_("number"),
    "category": N_("category"),
    "date": N_("date"),
    "text": N_("text"),
    "id": N_("identifier"),
    "constant": N_("constant"),
    "empty": N_("empty"),
}
#: Columns that the page lists.
SHOWN = 500


def page(
    name: str,
    report: FitReport,
    judged: Judged,
    notes: Sequence[str],
    columns: Sequence[Column] = (),
    warnings: Sequence[str] = (),
) -> str:
    """The whole page; `notes`, `columns` and `warnings` are those of a `TableFit`."""
    metrics = pairs([(_(k), _metric(judged, k)) for k in judged.metrics], "pairs")
    classes = judged.task == "classification"
    body = "".join(
        (
            header(name),
            "<main>",
            _banner(report, judged, warnings),
            _card(_("Result"), metrics, *(tag("p", esc(n), class_="lead") for n in notes)),
            _card(_("Learning curves"), curves(report)),
            _card(_("Confusion"), confusion(judged)) if classes else "",
            "" if classes else _card(_("Predicted against true values"), predictions(judged)),
            _card(_("What was seen and done"), _diagnosis(report)),
            _card(_("Columns"), _columns(columns)) if columns else "",
            _card(_("Settings"), _settings(report)),
            "</main>",
            tag("footer", esc(_("Written by Evenflow. Every number here was measured."))),
        )
    )
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return document(f"{name} · Evenflow", body, style)


def _card(heading: str, *parts: str) -> str:
    return tag("section", tag("h2", esc(heading)), *parts, class_="card")


def _banner(report: FitReport, judged: Judged, warnings: Sequence[str]) -> str:
    least = min(report.held_out or report.errors, default=float("nan"))
    if report.learned:
        text = _("The network learned: its loss is {loss}, the best constant prediction's {base}.")
    else:
        text = _(
            "The network did no better than a constant: its loss is {loss}, that one's {base}."
        )
    figures = [(_(k), _metric(judged, k)) for k in list(judged.metrics)[:1]]
    figures += [
        (_("Epochs"), whole(report.epochs)),
        (_("Updates"), whole(report.steps)),
        (_("Training"), _("{seconds} s").format(seconds=number(report.seconds))),
    ]
    word = "warning" if warnings and report.verdict == "healthy" else report.verdict
    kind = _ICONS[word]
    return tag(
        "section",
        tag(
            "div",
            tag("h2", icon_of(kind), esc(_(_WORDS[word]))),
            *(tag("p", tag("strong", esc(what))) for what in warnings),
            tag("p", esc(text.format(loss=number(least), base=number(report.baseline)))),
        ),
        pairs(figures, "facts"),
        class_=f"banner {kind}",
    )


def _metric(judged: Judged, name: str) -> str:
    """The value; over folds with its deviation, to as many places as that has digits."""
    value, spread = judged.metrics[name], judged.spread.get(name, 0.0)
    if not spread > 0:
        return number(value)
    places = min(max(1 - math.floor(math.log10(spread)), 0), 6)
    return f"{value:.{places}f} ± {spread:.{places}f}"


def _diagnosis(report: FitReport) -> str:
    stopped = tag(
        "p",
        esc(
            _("Training ended after epoch {epoch}: {why}. Kept are the weights of epoch {kept}.")
            .format(epoch=whole(report.epochs), why=_(STOPPED[report.stopped]),
                    kept=whole(report.best_epoch))
        ),
    )  # fmt: skip
    parts = [f"{title(f.code)} ({f.code}): {f.message}" for f in report.findings]
    for t in report.treatments:
        when = (
            _("after epoch {epoch}").format(epoch=whole(t.epoch)) if t.epoch else _("at the start")
        )
        parts.append(f"{when}: {t.treatment}. {t.reason}")
    if not parts:
        return stopped + tag("p", esc(_("Nothing was wrong and nothing had to be treated.")))
    return stopped + tag("ul", *(tag("li", esc(line)) for line in parts), class_="told")


def _columns(columns: Sequence[Column]) -> str:
    """Every column, its kind and what was done with it, a row each; `SHOWN` of them."""
    head = (_("Column"), _("Kind"), _("Read"), _("Why"))
    rows = [tag("tr", *(tag("th", esc(text), scope="col") for text in head))]
    for c in columns[:SHOWN]:
        cells = (shown(c.name), _(_KINDS[c.kind]), _("yes") if c.used else _("no"), c.why)
        rows.append(tag("tr", *(tag("td", esc(text)) for text in cells)))
    left = len(columns) - SHOWN
    line = _("... and {count} more; model.json lists all.").format(count=whole(max(left, 0)))
    table = tag("div", tag("table", *rows), class_="scroll")
    return table + (tag("p", esc(line), class_="lead") if left > 0 else "")


def _settings(report: FitReport) -> str:
    def shown(value: object) -> str:
        if isinstance(value, (tuple, list)):
            return ", ".join(map(shown, value))
        return number(value) if isinstance(value, float) else str(value)

    lead = _("What each option came to; give any of them yourself in Python.")
    rows = [(k, shown(v)) for k, v in report.settings.items()]
    return tag("p", esc(lead), class_="lead") + pairs(rows, "pairs")
