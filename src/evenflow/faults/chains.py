"""Link single findings into chains: cause -> event -> end state. Pure: findings in, findings out.

Symptoms chain (PEERS, lesson 5): a learning rate too high makes one exploding step, that kills
units, and the loss is flat ever after. Each rule sees its own link; here they are joined, so
that the root is read first and each consequence says what it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..schema import Finding, Link, Severity
from .base import Rule
from .registry import REGISTRY

#: Within the first steps no order of events can be told apart by sparse readings.
BIRTH = 16
#: Code -> rule; those of all findings must be there.
Rules = Mapping[str, type[Rule]]


def link(found: Iterable[Finding], rules: Rules) -> list[Finding]:
    """The same findings with cause and chain joined: worst first, roots before consequences.

    A root is as bad as the worst it has brought about. Nothing is dropped.
    """
    findings = list(found)
    above = [_direct(i, findings, rules) for i in range(len(findings))]
    paths = [_path(i, above) for i in range(len(findings))]
    out = []
    for i, (f, path) in enumerate(zip(findings, paths, strict=True)):
        below = [p[0] for p in paths if len(p) > 1 and p[-1] == i]
        worst = max([f.severity, *(findings[j].severity for j in below)])
        if len(path) > 1:
            out.append((True, _as_consequence(f, [findings[j] for j in reversed(path)], rules)))
        else:
            ends = [findings[j] for j in below if rules[findings[j].code].is_end]
            out.append((False, replace(_as_root(f, ends, rules), severity=worst)))
    out.sort(key=lambda pair: (-pair[1].severity, pair[0], pair[1].code, pair[1].sites[:1]))
    return [f for _, f in out]


def faults(findings: Iterable[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """Findings that are one fault: (the root, what else it shows in), in the order given.

    What `link` has joined belongs together, and so do findings that name the same cause where that
    is no code of its own: the one that stands first on the way from root to symptom is the root.
    One whose cause is not among them stands alone.
    """
    found = list(findings)
    above = [next((j for j, g in enumerate(found) if _follows(f, g)), None) for f in found]
    alike: dict[str, list[int]] = {}
    for i, f in enumerate(found):
        if above[i] is None and f.cause and f.cause[:2] != "EF":
            alike.setdefault(f.cause, []).append(i)
    for same in alike.values():
        root = min(same, key=lambda i: (-found[i].severity, _standing(found[i])))
        for i in same:
            above[i] = None if i == root else root
    top = [_path(i, above)[-1] for i in range(len(found))]
    return [
        (root, [f for j, f in enumerate(found) if top[j] == i and j != i])
        for i, root in enumerate(found)
        if above[i] is None
    ]


def _standing(f: Finding) -> int:
    return REGISTRY[f.code].stage if f.code in REGISTRY else 0


def _follows(f: Finding, root: Finding) -> bool:
    """Is `root` the first fault of the chain that ends in `f`?"""
    if f is root or f.cause != root.code or f.code == root.code:
        return False
    link = next((x for x in f.chain if x.what == root.code), None)
    return link is None or (link.step, link.site) == (root.first_step, _place(root))


def _since(f: Finding, rules: Rules) -> int:
    """Its first step: wiring and data are what they are, though full readings are sparse."""
    return 0 if rules[f.code].standing else f.first_step


def _stage(f: Finding, rules: Rules) -> int:
    rule = rules[f.code]
    sure = rule.stage_if_sure
    return sure if sure is not None and _sure(f, rules) else rule.stage


def _sure(f: Finding, rules: Rules) -> bool:
    """Whether the finding's rule has read the cause off its own evidence."""
    if f.cause in rules:
        return rules[f.cause].sure
    return any(c.name == f.cause and c.sure for c in rules[f.code].causes)


def _direct(i: int, findings: list[Finding], rules: Rules) -> int | None:
    """Index of the finding that explains `i` most closely; None for a root."""
    f = findings[i]
    able = [
        j
        for j, g in enumerate(findings)
        if f.code in rules[g.code].leads_to
        and _stage(g, rules) < _stage(f, rules)
        and (rules[f.code].looks_back or _since(g, rules) <= max(f.first_step, BIRTH))
        and (g.severity is Severity.error or not rules[g.code].leads_as_error)
        and not any(c.name == g.cause and c.harmless for c in rules[g.code].causes)
        and (rules[g.code].overrules or not _sure(f, rules))
    ]
    named = [j for j in able if findings[j].code == f.cause]
    return max(named or able, key=lambda j: _stage(findings[j], rules), default=None)


def _path(i: int, above: list[int | None]) -> list[int]:
    """From a finding up to its root."""
    up = above[i]
    return [i] if up is None else [i, *_path(up, above)]


def _place(f: Finding) -> int | None:
    return f.sites[0] if f.sites else None


def _as_consequence(f: Finding, path: list[Finding], rules: Rules) -> Finding:
    """`f` with the chain root -> ... -> f. A cause the root itself has comes before all."""
    root = path[0]
    links = [Link("cause", root.cause)] if _sure(root, rules) else []
    role = "event" if links else "cause"
    links.append(Link(role, root.code, root.first_step, _place(root)))
    links += [Link("event", g.code, g.first_step, _place(g)) for g in path[1:-1]]
    links.append(Link("end", f.code, f.first_step, _place(f)))
    return replace(f, cause=root.code, chain=tuple(links))


def _as_root(f: Finding, ends: list[Finding], rules: Rules) -> Finding:
    """`f` with the end state it led to, if it does not name one itself."""
    if not ends or any(x.role == "end" for x in f.chain):
        return f
    end = max(ends, key=lambda g: (g.severity, _stage(g, rules)))
    event = () if f.chain else (Link("event", f.code, f.first_step, _place(f)),)
    return replace(f, chain=(*f.chain, *event, Link("end", end.code, end.first_step, _place(end))))
