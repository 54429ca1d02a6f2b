"""A ledger in words: a headline, who did most of it, then the table; and as plain types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.cells import cell_len

from ..lang import N_, _, ngettext, whole
from ..network import by_key
from ..words import filled, number, span
from .by_line import by_line, told
from .factors import Block, Contribution, Factor, Fork, LedgerRecord, decades

_ROWS = 36  # rows of the table; of more, the ends and the largest gains between them
_FORKS = 12  # forks told one by one
_FEW = 5  # contributions and branches told
_ODD = 0.3  # decades from the median of its kind: a row that stands out
_LITTLE = 0.05  # decades: said as none
_PARTS = {
    "scale": N_("scale"),
    "alignment": N_("alignment"),
    "slope": "√Eφ'²",
    "rest": N_("the rest"),
}


def headline(ledger: LedgerRecord) -> str:
    """ "The error falls by 51.2 decades from the loss to layers.0: ‖δ‖ 0.7 → 4.4e-52."

    >>> from evenflow.ledger import Factor, Ledger, headline
    >>> half = Factor("loss → mean", "mean", "other", received=1.0, sent=0.5)
    >>> headline(Ledger(site="head", received=1.0, sent=0.5, links=(half,)))
    'The error falls by 0.3 decades from the loss to head: ‖δ‖ 1 → 0.5.'
    """
    sizes = f"‖δ‖ {number(ledger.received)} → {number(ledger.sent)}"
    gain, site = ledger.gain, ledger.site
    if not ledger.links:
        return _("{site} is the loss itself: {sizes}.").format(site=ledger.site, sizes=sizes)
    if math.isinf(gain):
        last = next((x.name for x in ledger.links if x.sent == 0), ledger.site)
        line = _(
            "Nothing arrives: from the loss to {site} the error becomes exactly zero, at {last}: "
            "{sizes}."
        )
        return line.format(site=site, last=last, sizes=sizes)
    if math.isnan(gain):
        broken = (x.name for x in ledger.links if not math.isfinite(x.sent))
        first = next(broken, _("the loss"))
        if ledger.received == 0:
            line = _("There is no error to follow: it is exactly zero at the loss ({sizes}).")
            return line.format(sizes=sizes)
        line = _("The error is not finite from {place} on: {sizes}.")
        return line.format(place=first, sizes=sizes)
    if abs(gain) < _LITTLE:
        line = _("The error keeps its size from the loss to {site}: {sizes}.")
    elif gain < 0:
        line = _("The error falls by {amount} from the loss to {site}: {sizes}.")
    else:
        line = _("The error grows by {amount} from the loss to {site}: {sizes}.")
    return line.format(amount=span(gain), site=site, sizes=sizes)


def plural(op: str, kind: str, count: int) -> str:
    """ "the 50 sigmoids", "the 12 linear layers", "the one add"."""
    op = op.replace("_", " ")
    layer = kind in ("affine", "norm", "recurrent", "embedding")
    if count == 1:
        one = _("the block with branches") if kind == "block" else _("the {op}")
        return (_("the {op} layer") if layer else one).format(op=op)
    if kind == "block":
        line = ngettext(
            "the {count} block with branches", "the {count} blocks with branches", count
        )
    elif layer:
        line = ngettext("the {count} {op} layer", "the {count} {op} layers", count)
    elif kind in ("loss", "other", "view", "custom"):
        line = ngettext("the {count} {op} step", "the {count} {op} steps", count)
    else:
        # Translators: {op} is an operation, such as sigmoid or add; it is not translated.
        line = ngettext("the {count} {op}", "the {count} {op}s", count)
    return line.format(op=op, count=whole(count))


def _counted(op: str, kind: str, count: int) -> str:
    """ "39 sigmoids"."""
    op = op.replace("_", " ")
    layer = kind in ("affine", "norm", "recurrent", "embedding")
    if count == 1:
        one = _("block with branches") if kind == "block" else op
        return _("{op} layer").format(op=op) if layer else one
    if kind == "block":
        line = ngettext("{count} block with branches", "{count} blocks with branches", count)
    elif layer:
        line = ngettext("{count} {op} layer", "{count} {op} layers", count)
    elif kind in ("loss", "other", "view", "custom"):
        line = ngettext("{count} {op} step", "{count} {op} steps", count)
    else:
        line = ngettext("{count} {op}", "{count} {op}s", count)
    return line.format(op=op, count=whole(count))


def sentences(ledger: LedgerRecord) -> list[str]:
    """Who did most of it, and who worked against it."""
    if not math.isfinite(ledger.gain):
        return []
    out: list[str] = []
    moved = sum(abs(c.decades) for c in ledger.contributions)
    whole_way = _all_that_way(ledger)
    for c in ledger.contributions:
        if abs(c.decades) < max(_LITTLE, 0.02 * moved) or len(out) == _FEW:
            continue
        out.append(_sentence(c, whole_way, first=not out))
    return out


def _all_that_way(ledger: LedgerRecord) -> float:
    """Decades lost (below 0) or gained by all ops that did as the whole ledger does; 0 where it
    keeps its size. Never the sum of all: what others work against it is no part of what was lost,
    and one op alone may lose more than is missing in the end."""
    total = ledger.gain
    if abs(total) < _LITTLE:
        return 0.0
    return math.fsum(c.decades for c in ledger.contributions if c.decades * total > 0)


def _sentence(c: Contribution, total: float, first: bool) -> str:
    """`total`: see `_all_that_way`."""
    who = plural(c.op, c.kind, c.links)
    if c.links > 1:
        each = f"{abs(c.decades) / c.links:.2g}"
        who = _("{factors}, {each} each").format(factors=who, each=each)
    size, of = f"{abs(c.decades):.1f}", f"{abs(total):.1f}"
    if c.decades * total > 0:
        if first and total < 0:
            line = ngettext(
                "{size} of the {total} lost decades is {factors}",
                "{size} of the {total} lost decades are {factors}",
                c.links,
            )
        elif first:
            line = ngettext(
                "{size} of the {total} gained decades is {factors}",
                "{size} of the {total} gained decades are {factors}",
                c.links,
            )
        else:
            line = ngettext("{size} is {factors}", "{size} are {factors}", c.links)
    elif c.decades < 0:
        line = _("{size} decades are lost at {factors}")
    else:
        line = _("{size} decades are gained at {factors}")
    line = line.format(size=size, total=of, factors=who)
    if not c.parts:
        return line
    parts = [
        _("{part} {decades}").format(part=_(_PARTS[k]), decades=signed(v / c.links))
        for k, v in c.parts.items()
    ]
    whole_said = _("{sentence} ({parts} each)") if c.links > 1 else _("{sentence} ({parts})")
    return whole_said.format(sentence=line, parts=_(", ").join(parts))


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


def text(ledger: LedgerRecord) -> str:
    """What `print(ledger)` and `evenflow explain` show."""
    lines = [headline(ledger)]
    lines += [f"  {line}" for line in sentences(ledger)]
    if ledger.time:
        (last, begin), (first, end) = ledger.time[0], ledger.time[-1]
        fall = decades(end, begin)
        message = _(
            "through time, from call {last} of the same weights back to call {first}: ‖δ‖ {begin} "
            "→ {end}, {decades} decades, {each} a step"
        ).format(
            last=last, first=first, begin=number(begin), end=number(end), decades=signed(fall),
            each=signed(fall / (len(ledger.time) - 1)),
        )  # fmt: skip
        lines.append(f"  {message}")
    lines += ["  " + _("note: {note}").format(note=note) for note in ledger.notes]
    lines += ["", *table(ledger)]
    forks = [(b, f) for b in ledger.links if isinstance(b, Block) for f in b.forks]
    if forks:
        lines += ["", _("where ways meet: signed shares of δ (they add up to 1)")]
        if len(forks) > _FORKS:
            ends = [(b, b.forks[-1]) for b in ledger.links if isinstance(b, Block) and b.forks]
            message = ngettext(
                "{count} fork; of each block the last, {most} at most:",
                "{count} forks; of each block the last, {most} at most:",
                len(forks),
            )
            lines.append("  " + message.format(count=len(forks), most=_FORKS))
            forks = ends[:_FORKS]
        lines += [f"  {fork_line(f)}" for _, f in forks]
    return "\n".join([*lines, *told(ledger)])


def fork_line(fork: Fork) -> str:
    """ "blocks.0.conv1: blocks.0 → add 0.61, blocks.0.conv1 0.39"."""
    if not fork.sure:
        sizes = sum(b.size for b in fork.branches)
        line = ngettext(
            "{name}: shares ill-conditioned, {count} branch cancels (‖Σδ‖ {sum} of Σ‖δ‖ {sizes})",
            "{name}: shares ill-conditioned, {count} branches cancel (‖Σδ‖ {sum} of Σ‖δ‖ {sizes})",
            len(fork.branches),
        )
        return line.format(
            name=fork.name,
            count=len(fork.branches),
            sum=number(fork.received),
            sizes=number(sizes),
        )
    ranked = sorted(fork.branches, key=lambda b: -abs(b.share))
    parts = [f"{b.name} {b.share:.2f}".replace("-", "−") for b in ranked[:_FEW]]
    more = len(ranked) - _FEW
    if more > 0:
        parts.append(_("{count} more").format(count=more))
    return _("{name}: {shares}").format(name=fork.name, shares=_(", ").join(parts))


def table(ledger: LedgerRecord) -> list[str]:
    """The links in backward order: decades, δ arriving, place, parts, elasticity."""
    links = ledger.links
    if not links:
        return []
    kept = _rows(links)
    wide = min(44, max(len(place(links[i])) for i in kept))
    names = (_("decades"), "‖δ‖", _("op"), _("taken apart"))
    cells = (_right(names[0], 8), _right(names[1], 9), filled(names[2], wide), filled(names[3], 34))
    head = "  ".join((*cells, _("elasticity")))
    out, last = [head.rstrip()], -1
    for i in kept:
        if i != last + 1:
            skipped = links[last + 1 : i]
            gain = sum(left_out.gain for left_out in skipped)
            out.append(f"{signed(gain):>8}  {'':>9}  ... {_skipped(skipped)}")
        link = links[i]
        name = place(link)
        name = name if len(name) <= wide else "…" + name[1 - wide :]
        out.append(
            f"{signed(link.gain):>8}  {_right(number(link.received), 9)}  {filled(name, wide)}  "
            f"{filled(parts_line(link), 34)}  {elasticity(link)}".rstrip()
        )
        last = i
    out.append(f"{'=':>2}{signed(ledger.gain):>6}  {_right(number(ledger.sent), 9)}  {ledger.site}")
    return out


def elasticity(link: Factor | Block) -> str:
    """Of the output, else of the weights."""
    if link.elasticity is not None:
        return number(link.elasticity)
    if link.weight_elasticity is None:
        return ""
    return _("{elasticity} (of W)").format(elasticity=number(link.weight_elasticity))


def _right(text: str, cells: int) -> str:
    return " " * (cells - cell_len(text)) + text


def _rows(links: Sequence[Factor | Block]) -> list[int]:
    """All of them, or both ends and what stands out from others of its kind between them."""
    if len(links) <= _ROWS:
        return list(range(len(links)))
    third = _ROWS // 3
    by_op = by_key(links, lambda link: link.op)
    usual = {op: median(link.gain for link in same) for op, same in by_op.items()}
    odd = {i: abs(links[i].gain - usual[links[i].op]) for i in range(third, len(links) - third)}
    known = {i: size if size == size else math.inf for i, size in odd.items()}
    large = sorted((i for i in known if known[i] > _ODD), key=lambda i: -known[i])[:third]
    return sorted({*range(third), *large, *range(len(links) - third, len(links))})


def _skipped(links: Sequence[Factor | Block]) -> str:
    """ "78 more: 39 sigmoids −0.61 each, 39 linear layers −0.24 each"."""
    parts = []
    alike = by_key(links, lambda link: (link.op, link.kind)).items()
    gains = {key: (len(same), sum(link.gain for link in same)) for key, same in alike}
    for (op, kind), (count, gain) in sorted(gains.items(), key=lambda k: -abs(k[1][1])):
        line = _("{factors} {each} each") if count > 1 else _("{factors} {each}")
        each = signed(gain / count)
        parts.append(line.format(factors=_counted(op, kind, count), each=each))
    return _("{count} more: {factors}").format(count=len(links), factors=_(", ").join(parts[:3]))


def place(link: Factor | Block) -> str:
    """ "layers.3 (linear)", "a → add … b (block)"."""
    if isinstance(link, Block):
        return _("{start} … {end} (block)").format(start=link.name, end=link.towards)
    if link.op in link.name.split("#")[0].split(" "):
        return link.name
    return f"{link.name} ({link.op})"


def parts_line(link: Factor | Block) -> str:
    """ "‖W‖/√n −0.23  align +0.02"."""
    if isinstance(link, Block):
        ops = ngettext("{count} op", "{count} ops", len(link.ops)).format(count=len(link.ops))
        forks = ngettext("{count} fork", "{count} forks", len(link.forks))
        return _(", ").join((ops, forks.format(count=len(link.forks))))
    words = {"scale": "‖W‖/√n", "alignment": _("align"), "slope": "√Eφ'²", "rest": _("rest")}
    parts = [f"{words[k]} {signed(v)}" for k, v in link.parts.items() if k in words]
    if "flow" in link.parts:
        steps = link.parts.get("flow_steps", math.nan)
        line = _("{decades} through {steps} time steps")
        parts.append(line.format(decades=signed(link.parts["flow"]), steps=f"{steps:.0f}"))
    return "  ".join(parts)


def as_dict(ledger: LedgerRecord) -> dict[str, Any]:
    """Plain types for JSON; floats may be NaN or infinite."""
    return {
        "schema": 1,
        **{key: getattr(ledger, key) for key in ("source", "run", "step", "site")},
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
        "lines": [
            {**g.where.as_dict(), "op": g.op, "links": g.links, "decades": g.decades}
            for g in by_line(ledger)
        ],
    }  # fmt: skip


_LINK = (
    *("name", "op", "kind", "gain", "received", "sent", "parts", "elasticity"),
    *("weight_elasticity", "call", "towards"),
)


def _link(link: Factor | Block) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "block" if isinstance(link, Block) else "factor"}
    out |= {"decades" if key == "gain" else key: getattr(link, key) for key in _LINK}
    out["parts"] = dict(link.parts)
    if isinstance(link, Block):
        out["ops"] = [_link(op) for op in link.ops]
        out["forks"] = [
            {
                "name": f.name,
                "received": f.received,
                "well_conditioned": f.sure,
                "branches": [asdict(b) for b in f.branches],
            }
            for f in link.forks
        ]
    return out
