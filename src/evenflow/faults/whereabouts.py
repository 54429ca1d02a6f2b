"""Which lines of the script a finding is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..schema import Finding, Run, Where
from .base import Rule
from .causes import DEPTH_TIMES_ACTIVATION

#: Lines that are told of one finding.
MOST = 3


def with_lines(
    findings: Sequence[Finding], run: Run, rules: Mapping[str, type[Rule]]
) -> list[Finding]:
    """The same findings, each with the lines it is about; none where the run knows none."""
    return [replace(f, where=_few(_lines(f, run, rules[f.code].points_at))) for f in findings]


def _lines(finding: Finding, run: Run, points_at: str) -> Iterable[Where]:
    sites = [run.sites[i] for i in finding.sites if 0 <= i < len(run.sites)]
    if points_at in ("optimizer", "step"):
        yield from _optimizers(run, points_at)
    if points_at == "inputs":
        sites = [s for s in run.sites if s.kind == "input" and s.op == "input"]
    if any(link.what == DEPTH_TIMES_ACTIVATION.name for link in finding.chain):
        yield from _activations(run)
    for site in sites:
        first = points_at != "sites" or site.kind in ("input", "loss")
        yield from (site.called or site.made) if first else (site.made or site.called)
    named = set(finding.params)
    for param in run.params:
        if param.name in named:
            yield from param.made


def _activations(run: Run) -> Iterable[Where]:
    """The line to which most activations go back: what each of them takes, depth multiplies."""
    lines = [s.made or s.called for s in run.sites if s.kind == "activation"]
    known = Counter((at[0].file, at[0].line, at[0].column) for at in lines if at)
    if known:
        most = known.most_common(1)[0][0]
        yield from (w for at in lines for w in at if (w.file, w.line, w.column) == most)


def _optimizers(run: Run, points_at: str) -> Iterable[Where]:
    """Those that stepped, and all others after them."""
    keys = ("stepped", "made") if points_at == "step" else ("made", "stepped")
    told = [o for o in run.meta.get("optimizers") or () if isinstance(o, Mapping)]
    for each in sorted(told, key=lambda o: "turn" not in o):
        rows = next((each[key] for key in keys if each.get(key)), ())
        yield from map(Where.from_dict, rows)


def _few(lines: Iterable[Where]) -> tuple[Where, ...]:
    """Each line once, with its turn where only one of them is meant."""
    alike: dict[tuple[str, int, int], list[Where]] = {}
    for line in lines:
        alike.setdefault((line.file, line.line, line.column), []).append(line)
    out: list[Where] = []
    for same in alike.values():
        one = len({w.turn for w in same}) == 1
        out.append(same[0] if one else replace(same[0], turn=0))
    return tuple(out[:MOST])
