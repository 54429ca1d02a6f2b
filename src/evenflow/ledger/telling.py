"""A ledger in words: a headline, who did most of it, then the table; and as plain types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from ..words import number
from ..words.figures import decades as said_decades
from .record import Block, Contribution, Factor, Fork, Ledger, decades

_ROWS = 36  # rows of the table; of more, the ends and the largest gains between them
_FORKS = 12  # forks told one by one
_FEW = 5  # contributions and branches told
_ODD = 0.3  # decades from the median of its kind: a row that stands out
_LITTLE = 0.05  # decades: said as none


def headline(ledger: Ledger) -> str:
    """ "The error falls by 51.2 decades from the loss to layers.0: ‖δ‖ 0.7 → 4.4e-52." """
    sizes = f"‖δ‖ {number(ledger.received)} → {number(ledger.sent)}"
    gain, way = ledger.gain, f"from the loss to {ledger.site}"
    if not ledger.links:
        return f"{ledger.site} is the loss itself: {sizes}."
    if math.isinf(gain):
        last = next((x.name for x in ledger.links if x.sent == 0), ledger.site)
        return f"Nothing arrives: {way} the error becomes exactly zero, at {last}: {sizes}."
    if math.isnan(gain):
        broken = (x.name for x in ledger.links if not math.isfinite(x.sent))
        first = next(broken, "the loss")
        if ledger.received == 0:
            return f"There is no error to follow: it is exactly zero at the loss ({sizes})."
        return f"The error is not finite from {first} on: {sizes}."
    if abs(gain) < _LITTLE:
        return f"The error keeps its size {way}: {sizes}."
    verb = "falls" if gain < 0 else "grows"
    return f"The error {verb} by {amount(gain)} {way}: {sizes}."


def amount(gain: float) -> str:
    """ "51.2 decades", without a sign."""
    return said_decades(abs(gain)).removesuffix(" up")


def plural(op: str, kind: str, count: int) -> str:
    """ "the 50 sigmoids", "the 12 linear layers", "the one add"."""
    noun = op.replace("_", " ")
    if kind == "block":
        noun = "block with branches" if count == 1 else "blocks with branches"
    elif kind in ("affine", "norm", "recurrent", "embedding"):
        noun += " layer" + "s" * (count > 1)
    elif count > 1:
        noun += " steps" if kind in ("loss", "other", "view", "custom") else "s"
    return f"the {count:,} {noun}" if count > 1 else f"the {noun}"


def sentences(ledger: Ledger) -> list[str]:
    """Who did most of it, and who worked against it."""
    total = ledger.gain
    if not math.isfinite(total):
        return []
    out: list[str] = []
    of_all = False
    moved = sum(abs(c.decades) for c in ledger.contributions)
    for c in ledger.contributions:
        if abs(c.decades) < max(_LITTLE, 0.02 * moved) or len(out) == _FEW:
            continue
        if not out:
            # "47 of the 51": only where the largest part is no more than the whole.
            of_all = 0 < c.decades / total <= 1 + _LITTLE if abs(total) >= _LITTLE else False
        out.append(_sentence(c, total, of_all, first=not out))
    return out


def _sentence(c: Contribution, total: float, of_all: bool, first: bool) -> str:
    who = plural(c.op, c.kind, c.links)
    each = f", {abs(c.decades) / c.links:.2g} each" if c.links > 1 else ""
    size = f"{abs(c.decades):.1f}"
    if of_all and c.decades * total > 0:
        word = "lost" if total < 0 else "gained"
        which = f" of the {abs(total):.1f} {word} decades" if first else ""
        said = f"{size}{which} {'are' if c.links > 1 else 'is'} {who}{each}"
    else:
        said = f"{size} decades are {'lost' if c.decades < 0 else 'gained'} at {who}{each}"
    if not c.parts:
        return said
    names = {"scale": "scale", "alignment": "alignment", "slope": "√Eφ'²", "rest": "the rest"}
    parts = ", ".join(f"{names[k]} {signed(v / c.links)}" for k, v in c.parts.items())
    return f"{said} ({parts}{' each' if c.links > 1 else ''})"


def signed(value: float) -> str:
    """Decades with a sign: "+0.31", "−12.1", "0"."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    shown = f"{abs(value):.2f}" if abs(value) < 10 else f"{abs(value):.1f}"
    if float(shown) == 0:
        return "0"
    return ("−" if value < 0 else "+") + shown


def text(ledger: Ledger) -> str:
    """What `print(ledger)` and `evenflow explain` show."""
    lines = [headline(ledger)]
    lines += [f"  {line}" for line in sentences(ledger)]
    if ledger.time:
        (last, begin), (first, end) = ledger.time[0], ledger.time[-1]
        fall = decades(end, begin)
        lines.append(
            f"  through time, from call {last} of the same weights back to call {first}: ‖δ‖ "
            f"{number(begin)} → {number(end)}, {signed(fall)} decades, "
            f"{signed(fall / (len(ledger.time) - 1))} a step"
        )
    lines += [f"  note: {note}" for note in ledger.notes]
    lines += ["", *table(ledger)]
    forks = [(b, f) for b in ledger.links if isinstance(b, Block) for f in b.forks]
    if forks:
        lines += ["", "where ways meet: signed shares of δ (they add up to 1)"]
        if len(forks) > _FORKS:
            ends = [(b, b.forks[-1]) for b in ledger.links if isinstance(b, Block) and b.forks]
            lines.append(f"  {len(forks)} forks; of each block the last, {_FORKS} at most:")
            forks = ends[:_FORKS]
        lines += [f"  {fork_line(f)}" for _, f in forks]
    return "\n".join(lines)


def fork_line(fork: Fork) -> str:
    """ "blocks.0.conv1: blocks.0 → add 0.61, blocks.0.conv1 0.39"."""
    if not fork.sure:
        sizes = sum(b.size for b in fork.branches)
        return (
            f"{fork.name}: shares ill-conditioned, {len(fork.branches)} branches cancel "
            f"(‖Σδ‖ {number(fork.received)} of Σ‖δ‖ {number(sizes)})"
        )
    ranked = sorted(fork.branches, key=lambda b: -abs(b.share))
    told = [f"{b.name} {b.share:.2f}".replace("-", "−") for b in ranked[:_FEW]]
    more = len(ranked) - _FEW
    return f"{fork.name}: {', '.join(told)}" + (f", {more} more" if more > 0 else "")


def table(ledger: Ledger) -> list[str]:
    """The links in backward order: decades, δ arriving, place, parts, elasticity."""
    links = ledger.links
    if not links:
        return []
    kept = _rows(links)
    wide = min(44, max(len(place(links[i])) for i in kept))
    head = f"{'decades':>8}  {'‖δ‖':>9}  {'op':<{wide}}  {'taken apart':<34}  elasticity"
    out, last = [head.rstrip()], -1
    for i in kept:
        if i != last + 1:
            skipped = links[last + 1 : i]
            out.append(f"{signed(_sum(skipped)):>8}  {'':>9}  ... {_skipped(skipped)}")
        link = links[i]
        name = place(link)
        name = name if len(name) <= wide else "…" + name[1 - wide :]
        known = link.elasticity if link.elasticity is not None else link.weight_elasticity
        mark = "" if link.elasticity is not None or known is None else " (of W)"
        out.append(
            f"{signed(link.gain):>8}  {number(link.received):>9}  {name:<{wide}}  "
            f"{parts_line(link):<34}  {'' if known is None else number(known)}{mark}".rstrip()
        )
        last = i
    out.append(f"{'=':>2}{signed(ledger.gain):>6}  {number(ledger.sent):>9}  {ledger.site}")
    return out


def _rows(links: Sequence[Factor | Block]) -> list[int]:
    """All of them, or both ends and what stands out from others of its kind between them."""
    if len(links) <= _ROWS:
        return list(range(len(links)))
    third = _ROWS // 3
    kinds: dict[str, list[float]] = {}
    for link in links:
        kinds.setdefault(link.op, []).append(link.gain)
    usual = {op: median(gains) for op, gains in kinds.items()}
    odd = {i: abs(links[i].gain - usual[links[i].op]) for i in range(third, len(links) - third)}
    known = {i: size if size == size else math.inf for i, size in odd.items()}
    large = sorted((i for i in known if known[i] > _ODD), key=lambda i: -known[i])[:third]
    return sorted({*range(third), *large, *range(len(links) - third, len(links))})


def _skipped(links: Sequence[Factor | Block]) -> str:
    """ "78 more: 39 sigmoids −0.61 each, 39 linear layers −0.24 each"."""
    kinds: dict[tuple[str, str], list[float]] = {}
    for link in links:
        kinds.setdefault((link.op, link.kind), []).append(link.gain)
    told = [
        f"{plural(op, kind, len(gains)).removeprefix('the ')} {signed(sum(gains) / len(gains))}"
        + (" each" if len(gains) > 1 else "")
        for (op, kind), gains in sorted(kinds.items(), key=lambda k: -abs(sum(k[1])))
    ]
    return f"{len(links)} more: {', '.join(told[:3])}"


def _sum(links: Sequence[Factor | Block]) -> float:
    return sum(link.gain for link in links)


def place(link: Factor | Block) -> str:
    """ "layers.3 (linear)", "a → add … b (block)"."""
    if isinstance(link, Block):
        return f"{link.name} … {link.towards} (block)"
    if link.op in link.name.split("#")[0].split(" "):
        return link.name
    return f"{link.name} ({link.op})"


def parts_line(link: Factor | Block) -> str:
    """ "‖W‖/√n −0.23  align +0.02"."""
    if isinstance(link, Block):
        forks = "1 fork" if len(link.forks) == 1 else f"{len(link.forks)} forks"
        return f"{len(link.ops)} ops, {forks}"
    words = {"scale": "‖W‖/√n", "alignment": "align", "slope": "√Eφ'²", "rest": "rest"}
    told = [f"{words[k]} {signed(v)}" for k, v in link.parts.items() if k in words]
    if "flow" in link.parts:
        steps = link.parts.get("flow_steps", math.nan)
        told.append(f"{signed(link.parts['flow'])} through {steps:.0f} time steps")
    return "  ".join(told)


def as_dict(ledger: Ledger) -> dict[str, Any]:
    """Plain types for JSON; floats may be NaN or infinite."""
    return {
        "schema": 1,
        "source": ledger.source,
        "run": ledger.run,
        "step": ledger.step,
        "site": ledger.site,
        "decades": ledger.gain,
        "received": ledger.received,
        "sent": ledger.sent,
        "headline": headline(ledger),
        "contributions": [
            {"op": c.op, "kind": c.kind, "count": c.links, "decades": c.decades,
             "parts": dict(c.parts)}
            for c in ledger.contributions
        ],
        "time": [{"call": call, "delta": size} for call, size in ledger.time],
        "links": [_link(link) for link in ledger.links],
        "notes": list(ledger.notes),
    }  # fmt: skip


def _link(link: Factor | Block) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": "block" if isinstance(link, Block) else "factor",
        "name": link.name,
        "op": link.op,
        "kind": link.kind,
        "decades": link.gain,
        "received": link.received,
        "sent": link.sent,
        "parts": dict(link.parts),
        "elasticity": link.elasticity,
        "weight_elasticity": link.weight_elasticity,
        "call": link.call,
        "towards": link.towards,
    }
    if isinstance(link, Block):
        out["ops"] = [_link(op) for op in link.ops]
        out["forks"] = [
            {
                "name": f.name,
                "received": f.received,
                "well_conditioned": f.sure,
                "branches": [
                    {"name": b.name, "size": b.size, "share": b.share} for b in f.branches
                ],
            }
            for f in link.forks
        ]
    return out
