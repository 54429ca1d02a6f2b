"""Names of places: one site, a few, or a range of layers."""

from __future__ import annotations

from collections.abc import Sequence

from ..lang import _, ngettext
from ..schema import Run, Site, Where, bare_name

_FEW = 3  # as many sites are named one by one


def sites(ids: Sequence[int], run: Run) -> str:
    """Where: "layers.3 sigmoid", "a, b and c", or "layers.0 to layers.62, 32 linear layers".

    Ids that the run does not hold are left out (an old finding beside another run); no ids at
    all give "". The root's name is left out where every site of the run has the same root.
    """
    known = list(dict.fromkeys(i for i in ids if 0 <= i < len(run.sites)))
    if not known:
        return ""
    in_order = all(i <= s.id for s in run.sites for i in s.inputs)
    if in_order:  # else some were met in the backward only, and the rule's order is the better
        known.sort()
    several_roots = len({s.root for s in run.sites if s.root}) > 1
    chosen = [run.sites[i] for i in known]
    names = [_name(s, several_roots) for s in chosen]
    if len(chosen) <= _FEW:
        return join(names)
    ops = {s.op for s in chosen}
    first, last = _place(chosen[0], several_roots), _place(chosen[-1], several_roots)
    ends = _("{first} to {last}").format(first=first, last=last) if first != last else first
    count = len(chosen)
    like = _alike(chosen, run) if in_order else count
    several = str(count) if like == count else _("{count} of {like}").format(count=count, like=like)
    if len(ops) == 1:
        said = ngettext("{ends}, {count} {op} layers", "{ends}, {count} {op} layers", like)
    else:
        said = ngettext("{ends}, {count} layers", "{ends}, {count} layers", like)
    return said.format(ends=ends, count=several, op=next(iter(ops)))


def line(where: Where) -> str:
    """ "train.py:18 in Net.__init__, 7th of 20 × Linear"."""
    said = where.place
    if where.function:
        said = _("{place} in {function}").format(place=said, function=where.function)
    if where.turn:
        # Translators: "train.py:18, 7th of 20 × Linear"
        text = _("{place}, {nth} of {all} × {what}")
        nth = _nth(where.turn)
        return text.format(place=said, nth=nth, all=where.turns, what=where.what)
    if where.turns:
        text = _("{place}, {all} × {what}")
        return text.format(place=said, all=where.turns, what=where.what)
    return said


def _nth(n: int) -> str:
    """ "1st", "2nd", "3rd", "7th"."""
    last = 0 if 10 <= n % 100 <= 20 else n % 10
    text = {1: _("{n}st"), 2: _("{n}nd"), 3: _("{n}rd")}.get(last, _("{n}th"))
    return text.format(n=n)


def join(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return _("{some} and {last}").format(some=_(", ").join(names[:-1]), last=names[-1])


def parameters(names: Sequence[str]) -> str:
    """ "a.weight", or "a.weight and 11 more parameters"."""
    if len(names) <= _FEW:
        return join(list(names))
    more = len(names) - 1
    said = ngettext("{name} and {count} more parameter", "{name} and {count} more parameters", more)
    return said.format(name=names[0], count=more)


def _name(site: Site, with_root: bool) -> str:
    return site.name if with_root else bare_name(site)


def _place(site: Site, with_root: bool) -> str:
    """The module path; the whole name where several ops share one path."""
    if not site.path:
        return _name(site, with_root)
    return f"{site.root}.{site.path}" if with_root and site.root else site.path


def _alike(chosen: Sequence[Site], run: Run) -> int:
    """How many sites of the same kinds and roots lie from the first to the last of `chosen`."""
    kinds = {(s.root, s.op) for s in chosen}
    between = run.sites[chosen[0].id : chosen[-1].id + 1]
    return sum((s.root, s.op) in kinds for s in between)
