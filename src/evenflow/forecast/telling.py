"""A forecast in words for a terminal. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..report.telling import names, remedies
from ..schema import Severity
from ..words import number, share, title
from .beside import Pair
from .record import Forecast, Outlook

#: Rows of a profile; of longer ones the first, the last and some between are shown.
ROWS = 24
_LAYERS = ("affine", "recurrent", "attention", "custom", "matmul", "embedding")
_MEANING = {
    "healthy": "nothing stands against it learning as it is.",
    "warning": "it may learn as it is, with care.",
    "sick": "as it stands it will not learn.",
}


def lines(forecast: Forecast) -> Iterator[tuple[str, str]]:
    """The forecast line by line with a style of rich's ("" = plain), to be wrapped by whoever
    prints it."""
    f = forecast
    style = {"healthy": "bold green", "warning": "bold yellow", "sick": "bold red"}[f.verdict]
    yield f"evenflow  {f.verdict.upper()}  {f.name}: {_MEANING[f.verdict]}", style
    said = []
    if f.trainable_depth is not None and f.depth > 1:
        whole = f.trainable_depth >= f.depth
        said.append(
            f"{f.depth} layers, and signals survive all of them"
            if whole
            else f"{f.depth} layers, but signals survive only {f.trainable_depth}"
        )
    if not math.isnan(f.chance):
        said.append(f"chance to learn {share(f.chance)}")
    how = {"one-pass": "one forward and backward", "static": "theory, no weights built"}
    said.append(f"foreseen by {how.get(f.method, f.method)}")
    yield " · ".join(said), "dim"
    told: set[str] = set()
    for finding in f.findings:
        if finding.severity is Severity.info:
            continue
        yield "", ""
        yield f"{finding.severity.name:<8}{finding.code} {title(finding.code)}", "bold"
        yield f"  {finding.message}", ""
        for advice in [a for a in remedies(finding) if a not in told][:2]:
            told.add(advice)
            yield f"  try: {advice}", "green"
    if f.advice:
        yield "", ""
        yield "Other starts (each tried on a copy where a chance is given):", "bold"
        for a in f.advice:
            chance = "" if math.isnan(a.chance) else f" chance {share(a.chance)}."
            yield f"  {a.change}: {a.text}{chance}", ""
    table = list(_profile(f))
    if len(table) > 1:
        yield "", ""
        for i, row in enumerate(table):
            yield row, "dim" if i == 0 else ""


def _profile(f: Forecast) -> Iterator[str]:
    """Layer by layer, from the data to the output."""
    shown = [o for o in f.outlooks if o.site.kind in _LAYERS]
    told = names(f.run, [o.site for o in shown])
    wide = max((min(len(n), 44) for n in told), default=5)
    yield f"{'layer':<{wide}}  log10 delta   +-     log10 q   1 - c     saturated  dead"
    for i in _some(len(shown)):
        o = shown[i]
        act = _after(f, o)
        yield (
            f"{told[i][:wide]:<{wide}}  {_level(o.log10_delta):>11}  {_bar(o.error_bar):>5}  "
            f"{_level(o.log10_q):>8}   {_small(o.one_minus_c):<8}  "
            f"{_part(act.saturated):<9}  {_part(act.dead)}"
        ).rstrip()
    yield from _left_out(len(shown))


def _after(f: Forecast, o: Outlook) -> Outlook:
    """The activation that follows a layer (through a norm, say), else the layer itself."""
    for later in f.outlooks[o.site.id + 1 : o.site.id + 5]:
        if later.site.kind == "activation":
            return later
        if later.site.kind in _LAYERS:
            break
    return o


def _some(n: int) -> list[int]:
    """Rows to show: the first, the last, and others evenly between."""
    if n <= ROWS:
        return list(range(n))
    return [round(k * (n - 1) / (ROWS - 1)) for k in range(ROWS)]


def _left_out(n: int) -> Iterator[str]:
    if n > ROWS:
        yield f"  ({ROWS} of {n}, evenly chosen)"


def _level(value: float) -> str:
    return "" if math.isnan(value) else "0" if math.isinf(value) and value < 0 else f"{value:+.2f}"


def _bar(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _small(value: float) -> str:
    return "" if math.isnan(value) else number(value)


def _part(value: float) -> str:
    return "" if math.isnan(value) else share(value)


def compared(pairs: Sequence[Pair], titles: Sequence[str]) -> Iterator[str]:
    """What was foreseen beside what was measured, site by site, and how far they lie apart."""
    known = [(p, t) for p, t in zip(pairs, titles, strict=True) if _finite(p)]
    if known:
        gap = sum(abs(p.foreseen - p.measured) for p, _ in known) / len(known)
        worst, where = max(known, key=lambda k: abs(k[0].foreseen - k[0].measured))
        yield (
            f"forecast: log10 of delta against the head, {len(known)} sites, off by {gap:.2f} on "
            f"average, at most {abs(worst.foreseen - worst.measured):.2f} ({where})"
        )
    wide = max((min(len(t), 44) for t in titles), default=5)
    for i in _some(len(pairs)):
        p = pairs[i]
        bar = "" if math.isnan(p.error_bar) else f" +- {p.error_bar:.2f}"
        yield (
            f"  {titles[i][:wide]:<{wide}}  foreseen {_exact(p.foreseen)}{bar}, "
            f"measured {_exact(p.measured)}"
        )
    yield from _left_out(len(pairs))


def _finite(p: Pair) -> bool:
    return math.isfinite(p.foreseen) and math.isfinite(p.measured)


def _exact(value: float) -> str:
    return "exactly 0" if math.isinf(value) and value < 0 else f"{value:.2f}"
