"""Link single findings into chains: cause -> event -> end state. Pure: findings in, findings out.

Symptoms chain (PEERS, lesson 5): a learning rate too high makes one exploding step, that kills
units, and the loss is flat ever after. Each rule sees its own link; here they are joined, so
that the root is read first and each consequence says what it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..schema import Finding, Link, Severity
from .view import View

#: What a fault can bring about. Read as: the key may explain each of the values.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "EF503": ("EF103", "EF401", "EF402"),
    "EF501": (
        *("EF102", "EF201", "EF202", "EF203", "EF206", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703", "EF103"),
    ),
    "EF502": ("EF102", "EF103", "EF201", "EF202", "EF206", "EF302", "EF402", "EF403", "EF703"),
    "EF504": (
        *("EF102", "EF103", "EF201", "EF202", "EF206", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
    ),
    "EF701": ("EF104", "EF401", "EF404", "EF103", "EF504", "EF201", "EF205"),
    "EF704": ("EF401", "EF404", "EF301"),
    "EF802": ("EF104", "EF301", "EF401", "EF404", "EF807", "EF205"),
    "EF803": ("EF401", "EF404", "EF205"),
    "EF806": (
        *("EF101", "EF102", "EF104", "EF201", "EF202", "EF205", "EF206", "EF301", "EF302"),
        *("EF401", "EF402", "EF403", "EF404"),
    ),
    "EF807": ("EF104", "EF301", "EF401", "EF404", "EF205"),
    "EF105": ("EF101", "EF104", "EF301", "EF401", "EF404"),
    "EF601": ("EF604", "EF101", "EF205"),
    "EF602": ("EF604", "EF102", "EF201", "EF205", "EF206"),
    "EF603": ("EF101", "EF104", "EF202", "EF205"),
    "EF604": ("EF101", "EF102", "EF205"),
    "EF605": ("EF104", "EF205", "EF301", "EF401", "EF404"),
    "EF703": (
        "EF101",
        *("EF102", "EF103", "EF104", "EF201", "EF202", "EF203", "EF204", "EF205"),
        *("EF206", "EF302", "EF401", "EF402", "EF403"),
    ),
    "EF102": (
        *("EF103", "EF301", "EF202", "EF201", "EF206", "EF302"),
        *("EF401", "EF402", "EF403", "EF703"),
    ),
    "EF206": ("EF103", "EF201", "EF204", "EF301", "EF401", "EF402"),
    "EF302": ("EF103", "EF201", "EF202", "EF205", "EF401", "EF402", "EF403"),
    "EF201": ("EF101", "EF104", "EF203", "EF205", "EF401", "EF404"),
    "EF202": ("EF101", "EF104", "EF205", "EF401", "EF404"),
    "EF104": ("EF205", "EF301", "EF401", "EF404"),
    "EF101": ("EF104", "EF105", "EF205", "EF301", "EF401", "EF404"),
    "EF203": ("EF101", "EF301", "EF401", "EF404"),
    "EF204": ("EF401", "EF404"),
    "EF205": ("EF401", "EF404"),
    "EF301": ("EF401", "EF404"),
    "EF103": ("EF402", "EF401"),
    "EF402": ("EF401",),
}
#: From root to end state: a fault is only explained by one that stands before it.
ORDER = (
    *("EF802", "EF503", "EF501", "EF502", "EF803", "EF702", "EF701", "EF806", "EF704", "EF807"),
    "EF504",
    *("EF605", "EF603", "EF601", "EF602", "EF604"),
    *("EF102!", "EF703", "EF102", "EF206", "EF302", "EF105!", "EF201", "EF202", "EF203"),
    *("EF101", "EF104", "EF105", "EF205", "EF204", "EF301", "EF103"),
    *("EF403", "EF402", "EF404", "EF401"),
)
#: Causes that a rule has read off its own evidence: no other finding may overrule them.
OWN = frozenset(
    {
        *("depth-times-activation", "depth-times-weights", "negative-bias", "zero-init"),
        *("through-time", "dtype", "EF601", "EF602"),
        *("operation", "origin-unknown", "non-finite-slope", "non-finite-update"),
        *("non-finite-loss", "weights-not-finite"),
    }
)
#: Only what lets no gradient through, whatever the start and the depth, explains those too.
STRUCTURE = frozenset({"EF806"})
#: Within the first steps no order of events can be told apart by sparse readings.
BIRTH = 16
#: The loss shows at its end what went wrong at any time before.
END_STATES = ("EF401", "EF403", "EF404")


def link(found: Iterable[Finding], view: View) -> list[Finding]:
    """The same findings with cause and chain joined: worst first, roots before consequences.

    A root is as bad as the worst it has brought about. Nothing is dropped.
    """
    findings = list(found)
    above = {i: _direct(i, findings) for i in range(len(findings))}
    out = []
    for i, f in enumerate(findings):
        path = [i]
        while (up := above[path[-1]]) is not None:
            path.append(up)
        below = [j for j in above if j != i and _root(j, above) == i]
        worst = max([f.severity, *(findings[j].severity for j in below)])
        if len(path) > 1:
            out.append((True, _as_consequence(f, [findings[j] for j in reversed(path)])))
        else:
            ends = [findings[j] for j in below if findings[j].code in ("EF401", "EF402", "EF103")]
            out.append((False, replace(_as_root(f, ends, view), severity=worst)))
    out.sort(key=lambda pair: (-pair[1].severity, pair[0], pair[1].code, pair[1].sites[:1]))
    return [f for _, f in out]


def _rank(f: Finding) -> int:
    early = (f.code == "EF102" and f.cause in OWN) or (f.code == "EF105" and f.cause == "dtype")
    key = f"{f.code}!" if early else f.code
    return ORDER.index(key)


def _direct(i: int, findings: list[Finding]) -> int | None:
    """Index of the finding that explains `i` most closely; None for a root."""
    f = findings[i]
    able = [
        j
        for j, g in enumerate(findings)
        if f.code in EXPLAINS.get(g.code, ())
        and _rank(g) < _rank(f)
        and _before(g, f)
        # only a layer that is wholly dead keeps gradient or signal from passing
        and (g.code != "EF202" or g.severity is Severity.error)
        and g.cause != "never-called"  # what nothing reads harms nothing
        and (f.cause not in OWN or g.code in STRUCTURE)
    ]
    named = [j for j in able if findings[j].code == f.cause]
    return max(named or able, key=lambda j: _rank(findings[j]), default=None)


def _before(g: Finding, f: Finding) -> bool:
    """Whether `g` was there when `f` began, as far as the readings can tell."""
    return f.code in END_STATES or g.first_step <= max(f.first_step, BIRTH)


def _root(i: int, above: dict[int, int | None]) -> int:
    while (up := above[i]) is not None:
        i = up
    return i


def _place(f: Finding) -> int | None:
    return f.sites[0] if f.sites else None


def _as_consequence(f: Finding, path: list[Finding]) -> Finding:
    """`f` with the chain root -> ... -> f. A cause the root itself has comes before all."""
    root = path[0]
    links = [Link("cause", root.cause)] if root.cause in OWN else []
    role = "event" if links else "cause"
    links.append(Link(role, root.code, root.first_step, _place(root)))
    links += [Link("event", g.code, g.first_step, _place(g)) for g in path[1:-1]]
    links.append(Link("end", f.code, f.first_step, _place(f)))
    return replace(f, cause=root.code, chain=tuple(links))


def _as_root(f: Finding, ends: list[Finding], view: View) -> Finding:
    """`f` with the end state it led to, if it does not name one itself."""
    if not ends or any(x.role == "end" for x in f.chain):
        return f
    end = max(ends, key=lambda g: (g.severity, _rank(g)))
    event = () if f.chain else (Link("event", f.code, f.first_step, _place(f)),)
    return replace(f, chain=(*f.chain, *event, Link("end", end.code, end.first_step, _place(end))))
