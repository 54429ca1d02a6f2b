"""Tables of the report: layers, parameters that are not trained, events, the run itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..lang import N_, _, ngettext, sentences, whole
from ..schema import HEALED, Finding, Run, interventions, metric_named
from ..words import healing, number, share
from .layers import chosen, latest, named_sites, now, relative_updates, untrained
from .markup import and_more, esc, pairs, row, scroll, section, short, table, tag
from .sentences import names

#: Rows of a table at most: the page stays small, and says what it leaves out.
_LAYERS, _PARAMS, _EVENTS = 200, 80, 80

#: Columns: (heading, explanation, metric or "" for the relative update).
_COLUMNS = (
    (N_("rms"), N_("root mean square of the output"), "rms"),
    (N_("spread"), N_("1 − c: how far the outputs of two samples differ"), "spread"),
    (N_("saturated"), N_("elements past an asymptote"), "saturated"),
    (N_("dead"), N_("units no gradient reached in the window"), "dead"),
    ("δ", N_("rms of the layer error dL/d(output)"), "delta"),
    (N_("update"), N_("|Δw| / |w| as applied by the optimizer"), ""),
)


def layers_section(run: Run, findings: Sequence[Finding]) -> str:
    """Each site's latest figures, in forward order."""
    ids = [site.id for site in run.sites if site.kind != "loss"]
    if not ids or not len(run.steps):
        return ""
    named = named_sites(findings)
    kept = chosen(ids, named, _LAYERS)
    updates = relative_updates(run)
    rows = []
    for i, label in zip(kept, names(run, [run.sites[i] for i in kept]), strict=True):
        site = run.sites[i]
        cells = []
        for _name, _hint, metric in _COLUMNS:
            value = now(run, i, metric) if metric else latest(updates.get(i))
            form = share if metric and metric_named("site", metric).unit == "share" else number
            text = "" if math.isnan(value) else form(value)
            text = _("not finite") if math.isinf(value) else text
            cells.append(tag("td", esc(text), data_v=None if not text else f"{value:.6g}"))
        shape = "×".join(map(str, site.shape))
        rows.append(
            tag(
                "tr",
                tag("th", tag("code", esc(short(label, 56))), scope="row", data_v=str(i)),
                tag("td", esc(shape[:40]), class_="shape", data_v=str(site.size)),
                *cells,
                class_="named" if i in named else None,
            )
        )
    head = "".join(
        tag("th", tag("button", esc(_(name)), title=_(hint), type="button"), scope="col")
        for name, hint in (
            (N_("layer"), N_("in forward order")),
            (N_("shape"), N_("of the output, batch first")),
            *(column[:2] for column in _COLUMNS),
        )
    )
    lead = [_("Latest measured values; a click on a heading sorts.")]
    if len(kept) < len(ids):
        more = _("{count} of {all} are listed: those that findings name first.")
        lead.append(more.format(count=whole(len(kept)), all=whole(len(ids))))
    return section(
        _("Layers"),
        "layers",
        tag("p", sentences(lead)),
        scroll(
            tag(
                "table",
                tag("thead", tag("tr", head)),
                tag("tbody", *rows),
                class_="sortable figures",
            ),
            _("Layers and their latest values"),
        ),
    )


def parameters_section(run: Run) -> str:
    """Parameters that do not learn, and why."""
    found = untrained(run)
    if not found:
        return ""
    rows = [
        row(tag("code", esc(short(name, 100))), shape, why) for name, shape, why in found[:_PARAMS]
    ]
    counted = ngettext(
        "{count} of {all} parameter tensor.", "{count} of {all} parameter tensors.", len(run.params)
    )
    lead = [counted.format(count=whole(len(found)), all=whole(len(run.params)))]
    if len(found) > _PARAMS:
        lead.append(_("The first {count} are listed.").format(count=_PARAMS))
    return section(
        _("Parameters not trained"),
        "untrained",
        tag("p", sentences(lead)),
        scroll(table((_("parameter"), _("shape"), _("why")), rows), _("Parameters not trained")),
    )


def healed_section(run: Run) -> str:
    """What heal did, each time with the value before and after."""
    done = interventions(run.events)
    if not done:
        return ""
    rows = [
        tag(
            "tr",
            tag("td", whole(each.step)),
            tag("th", esc(healing.kind(each)), scope="row"),
            tag("td", tag("code", esc(short(each.site, 80))) if each.site else ""),
            tag("td", esc(_value(each.before, each.kind))),
            tag("td", esc(_value(each.after, each.kind))),
            tag("td", esc(f"{healing.reason(each)}; {healing.particulars(each)}"[:400])),
        )
        for each in done[:_EVENTS]
    ]
    lead = "".join(tag("p", esc(text)) for text in healing.summaries(done))
    more = len(done) - _EVENTS
    if more > 0:
        lead += tag("p", _("The first {count} are listed.").format(count=_EVENTS), class_="quiet")
    head = (_("step"), _("what"), _("where"), _("before"), _("after"), _("why"))
    return section(_("Healed while it ran"), "healed", lead, scroll(table(head, rows), _("Healed")))


def _value(values: Mapping[str, float], kind: str) -> str:
    main = values.get(healing.MAIN.get(kind, ""))
    if main is None:
        main = next(iter(values.values()), None)
    return "–" if main is None else number(main)


def events_section(run: Run) -> str:
    """What else happened once."""
    events = [event for event in run.events if event.kind != HEALED]
    if not events:
        return ""
    rows = [
        tag(
            "tr",
            tag("td", whole(event.step)),
            tag("th", esc(event.kind[:40]), scope="row"),
            tag("td", esc(_detail(event.detail))),
        )
        for event in events[:_EVENTS]
    ]
    note = and_more(len(events) - _EVENTS)
    listed = scroll(table((_("step"), _("event"), _("particulars")), rows), _("Events"))
    return section(_("Events"), "events", listed, note)


def run_section(run: Run) -> str:
    """How the run was made."""
    told = []
    known = [(key, value) for key, value in run.meta.items() if key not in ("source", "units")]
    for key, value in known[:40]:
        if value in ("", None, [], {}):
            continue
        if key == "optimizers" and isinstance(value, list):
            value = "; ".join(_optimizer(item) for item in value[:8])
        if key == "started" and isinstance(value, (int, float)) and 0 < value < 1e11:
            value = f"{datetime.fromtimestamp(value, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        shown = value if isinstance(value, str) else _detail(value)
        told.append((str(key)[:60], shown[:600]))
    if run.source != "measured":
        told.append(("source", run.source))
    return section(_("Run"), "run", pairs(told, "pairs")) if told else ""


def _optimizer(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    rest = ", ".join(f"{key} {_detail(value)}" for key, value in item.items() if key != "class")
    return f"{item.get('class', '?')} ({rest})" if rest else str(item.get("class", "?"))


def _detail(value: Any) -> str:
    """Plain values as a person reads them."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or value is None:
        text = "–" if value is None else _("yes") if value else _("no")
    elif isinstance(value, (int, float)):
        text = number(value)
    elif isinstance(value, dict):
        text = ", ".join(f"{key}: {_detail(item)}" for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        text = " ".join(_detail(item) for item in value)
    else:
        text = json.dumps(value, default=str)
    return text[:400]
