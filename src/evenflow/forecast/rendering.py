"""A forecast in words for a terminal. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from rich.cells import cell_len

from ..faults import ThroughTime, View, faults
from ..lang import N_, _, ngettext
from ..network import WEIGHTED
from ..report import names, network_of, told_once
from ..schema import Severity
from ..words import filled, number, share
from .beside import Pair
from .record import Forecast, Outlook

#: Rows of a profile; of longer ones the first, the last and some between are shown.
ROWS = 24
_MEANING = {
    "healthy": N_("nothing stands against it learning as it is."),
    "warning": N_("it may learn as it is, with care."),
    "sick": N_("as it stands it will not learn."),
}
_VERDICTS = {"healthy": N_("Healthy"), "warning": N_("Warning"), "sick": N_("Sick")}


def lines(forecast: Forecast) -> Iterator[tuple[str, str]]:
    """The forecast line by line with a style of rich's ("" = plain), to be wrapped by whoever
    prints it.

    >>> import torch, evenflow
    >>> from evenflow.forecast import lines
    >>> text, style = next(lines(evenflow.preflight(torch.nn.Linear(2, 1), (8, 2))))
    >>> text
    'evenflow  HEALTHY  Linear: nothing stands against it learning as it is.'
    """
    f = forecast
    style = {"healthy": "bold green", "warning": "bold yellow", "sick": "bold red"}[f.verdict]
    word, meaning, figures = head(f)
    yield (
        _("evenflow  {verdict}  {name}: {meaning}").format(
            verdict=word.upper(), name=f.name, meaning=meaning
        ),
        style,
    )
    yield figures, "dim"
    network = network_of(f.run)
    for root, followed in faults(f.findings):
        if root.severity > Severity.info:
            yield "", ""
            for part in told_once(f.run, root, followed, network):
                yield " " * part.indent + part.text, "" if part.indent else "bold"
    starts = other_starts(f)
    for i, text in enumerate(starts):
        if i == 0:
            yield "", ""
        yield (f"  {text}", "") if i else (text, "bold")
    table = list(_profile(f))
    if len(table) > 1:
        yield "", ""
        for i, row in enumerate(table):
            yield row, "dim" if i == 0 else ""


def head(f: Forecast) -> tuple[str, str, str]:
    """The verdict as a word, what it means, and the figures behind it."""
    said = list(_depth(f))
    if not math.isnan(f.chance):
        said.append(_("chance to learn {share}").format(share=share(f.chance)))
    else:
        said += _untold(f)
    said += _over_time(f)
    how = {"one-pass": _("one forward and backward"), "static": _("theory, no weights built")}
    said.append(_("foreseen by {method}").format(method=how.get(f.method, f.method)))
    return _(_VERDICTS[f.verdict]), _(_MEANING[f.verdict]), " · ".join(said)


def other_starts(f: Forecast) -> list[str]:
    """A heading and a sentence for each advice; none where there is none."""
    if not f.advice:
        return []
    out = [_("Other starts (each tried on a copy where a chance is given):")]
    for a in f.advice:
        shape = _("{change}: {text}")
        if not math.isnan(a.chance):
            shape = _("{change}: {text} chance {share}.")
        out.append(shape.format(change=a.change, text=a.text, share=share(a.chance)))
    return out


def _depth(f: Forecast) -> Iterator[str]:
    """How many layers there are, and how many signals survive."""
    if f.trainable_depth is None or f.depth <= 1:
        return
    if f.trainable_depth >= f.depth:
        layers = ngettext(
            "{depth} layer, and signals survive all of them",
            "{depth} layers, and signals survive all of them",
            f.depth,
        )
    else:
        layers = ngettext(
            "{depth} layer, but signals survive only {survive}",
            "{depth} layers, but signals survive only {survive}",
            f.depth,
        )
    yield layers.format(depth=f.depth, survive=f.trainable_depth)


def _over_time(f: Forecast) -> Iterator[str]:
    """How many time steps were looked at."""
    steps = max((c.steps for c in ThroughTime(View(f.run)).chains), default=0)
    if steps:
        yield ngettext("{count} time step", "{count} time steps", steps).format(count=steps)


def _untold(f: Forecast) -> Iterator[str]:
    """Why no chance is told."""
    time = ThroughTime(View(f.run))
    if time.shortest is not None:
        yield _(
            "no chance is told: the gradient lives through {memory} of {steps} time steps, and "
            "whether what is forgotten matters only the data know"
        ).format(memory=int(time.shortest.memory), steps=time.shortest.steps)
    elif time.closed:
        yield _(
            "no chance is told: {layer} could not be opened step by step, so that nothing is known "
            "of its signals and gradients through time"
        ).format(layer=names(f.run, [f.run.sites[time.closed[0]]])[0])


def _profile(f: Forecast) -> Iterator[str]:
    """Layer by layer, from the data to the output."""
    shown = [o for o in f.outlooks if o.site.kind in WEIGHTED]
    told = names(f.run, [o.site for o in shown])
    wide = max((min(len(n), 44) for n in told), default=5)
    heads = (_("saturated"), _("dead"))
    columns = max(9, cell_len(heads[0]))
    yield (
        f"{filled(_('layer'), wide)}  log10 delta   +-     log10 q   1 - c     "
        f"{filled(heads[0], columns)}  {heads[1]}"
    )
    for i in _some(len(shown)):
        o = shown[i]
        act = _after(f, o)
        yield (
            f"{told[i][:wide]:<{wide}}  {_level(o.log10_delta):>11}  "
            f"{_told(o.error_bar, '{:.2f}'.format):>5}  "
            f"{_level(o.log10_q):>8}   {_told(o.one_minus_c, number):<8}  "
            f"{filled(_told(act.saturated, share), columns)}  {_told(act.dead, share)}"
        ).rstrip()
    yield from _left_out(len(shown))


def _after(f: Forecast, o: Outlook) -> Outlook:
    """The activation that follows a layer (through a norm, say), else the layer itself."""
    for later in f.outlooks[o.site.id + 1 : o.site.id + 5]:
        if later.site.kind == "activation":
            return later
        if later.site.kind in WEIGHTED:
            break
    return o


def _some(n: int) -> list[int]:
    """Rows to show: the first, the last, and others evenly between."""
    if n <= ROWS:
        return list(range(n))
    return [round(k * (n - 1) / (ROWS - 1)) for k in range(ROWS)]


def _left_out(n: int) -> Iterator[str]:
    if n > ROWS:
        yield "  " + _("({count} of {all}, evenly chosen)").format(count=ROWS, all=n)


def _level(value: float) -> str:
    return "" if math.isnan(value) else "0" if math.isinf(value) and value < 0 else f"{value:+.2f}"


def _told(value: float, show: Callable[[float], str]) -> str:
    return "" if math.isnan(value) else show(value)


def compared(pairs: Sequence[Pair], titles: Sequence[str]) -> Iterator[str]:
    """What was foreseen beside what was measured, site by site, and how far they lie apart."""
    both = zip(pairs, titles, strict=True)
    known = [(p, t) for p, t in both if math.isfinite(p.foreseen) and math.isfinite(p.measured)]
    if known:
        gap = sum(abs(p.foreseen - p.measured) for p, _title in known) / len(known)
        worst, where = max(known, key=lambda k: abs(k[0].foreseen - k[0].measured))
        said = ngettext(
            "forecast: log10 of delta against the head, {count} site, off by {gap} on average, "
            "at most {most} ({where})",
            "forecast: log10 of delta against the head, {count} sites, off by {gap} on average, "
            "at most {most} ({where})",
            len(known),
        )
        most = f"{abs(worst.foreseen - worst.measured):.2f}"
        yield said.format(count=len(known), gap=f"{gap:.2f}", most=most, where=where)
    wide = max((min(len(t), 44) for t in titles), default=5)
    for i in _some(len(pairs)):
        p = pairs[i]
        bar = "" if math.isnan(p.error_bar) else f" +- {p.error_bar:.2f}"
        said = _("foreseen {foreseen}, measured {measured}")
        said = said.format(foreseen=_exact(p.foreseen) + bar, measured=_exact(p.measured))
        yield f"  {titles[i][:wide]:<{wide}}  {said}"
    yield from _left_out(len(pairs))


def _exact(value: float) -> str:
    return _("exactly 0") if math.isinf(value) and value < 0 else f"{value:.2f}"
