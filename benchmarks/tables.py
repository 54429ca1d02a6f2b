"""The tables of the diagnosis benchmark, and the bars it must clear."""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from peers import PEERS
from zoo import REGISTRY

LOUD = ("warning", "error")


class Score(NamedTuple):
    """What became of one expected code over (case, seed) pairs."""

    pairs: int
    found: int
    placed: int
    steps: list[int]
    missed: list[str]


def placed(code: str, case: str, findings: list[dict[str, Any]]) -> bool:
    """Does a finding of this code point where the case says the fault is?"""
    pattern = REGISTRY[case].sites.get(code)
    if pattern is None:
        return True
    return any(
        re.search(pattern, place) for f in findings for place in (f["site"], *f["params"]) if place
    )


def by_code(results: list[dict[str, Any]]) -> dict[str, Score]:
    """For each expected code: pairs, found, found at the right place, first steps, misses."""
    rows: dict[str, Score] = {}
    for r in results:
        for code in sorted(REGISTRY[r["case"]].expect):
            s = rows.get(code, Score(0, 0, 0, [], []))
            hits = [f for f in r.get("findings", ()) if f["code"] == code and f["severity"] in LOUD]
            right = bool(hits) and placed(code, r["case"], hits)
            rows[code] = Score(
                s.pairs + 1,
                s.found + bool(hits),
                s.placed + right,
                [*s.steps, min(f["first_step"] for f in hits)] if hits else s.steps,
                s.missed if right else [*s.missed, f"{r['case']}/{r['seed']}"],
            )
    return dict(sorted(rows.items()))


def alarms(results: list[dict[str, Any]], severities: tuple[str, ...]) -> list[str]:
    """Healthy (case, seed) pairs that were accused, with the codes."""
    out = []
    for r in results:
        if not REGISTRY[r["case"]].healthy:
            continue
        said = sorted({f["code"] for f in r.get("findings", ()) if f["severity"] in severities})
        if said:
            out.append(f"{r['case']}/{r['seed']}: {' '.join(said)}")
    return out


def bars(results: list[dict[str, Any]]) -> list[str]:
    """The acceptance bars that were missed, in words."""
    missed = [f"{r['case']}/{r['seed']} raised {r['error']}" for r in results if "error" in r]
    missed += [f"{r['case']}/{r['seed']} stopped watching" for r in results if r.get("stopped")]
    for code, s in by_code(results).items():
        if s.found < 0.95 * s.pairs:
            missed.append(f"{code} recall {s.found}/{s.pairs}")
        if s.placed < 0.95 * s.found:
            missed.append(f"{code} right site {s.placed}/{s.found}")
    healthy = sum(REGISTRY[r["case"]].healthy for r in results)
    errors, any_ = alarms(results, ("error",)), alarms(results, LOUD)
    if errors:
        missed.append(f"errors on {len(errors)} of {healthy} healthy pairs")
    if len(any_) > 0.02 * healthy:
        missed.append(f"warnings on {len(any_)} of {healthy} healthy pairs (more than 2 %)")
    return missed


def out_of_bounds(results: list[dict[str, Any]]) -> list[str]:
    """Pairs whose held-out score belies what the zoo says of them."""
    out = []
    for r in results:
        case = REGISTRY[r["case"]]
        if "score" in r and (r["score"] >= case.bound) is not case.healthy:
            said = "healthy" if case.healthy else "sick"
            out.append(
                f"{said} {r['case']}/{r['seed']} scores {r['score']:.3f}, bound {case.bound}"
            )
    return out


def print_tables(results: list[dict[str, Any]], half: str) -> None:
    """Recall per code, false alarms, the peers on the same runs, and what went wrong."""
    console = Console()
    t = Table(title=f"Sick networks, {half} half")
    for column in ("code", "pairs", "recall", "right site", "first step (median)", "missed"):
        t.add_column(column, justify="left" if column in ("code", "missed") else "right")
    for code, s in by_code(results).items():
        t.add_row(
            code,
            str(s.pairs),
            f"{s.found / s.pairs:.0%}",
            f"{s.placed / s.found:.0%}" if s.found else "–",
            f"{median(s.steps):.0f}" if s.steps else "–",
            " ".join(s.missed[:4]) + (" ..." if len(s.missed) > 4 else ""),
        )
    console.print(t)
    healthy = [r for r in results if REGISTRY[r["case"]].healthy]
    if healthy:
        errors, any_ = alarms(results, ("error",)), alarms(results, LOUD)
        console.print(
            f"Healthy (network, seed) pairs: {len(healthy)}; with an error {len(errors)}; "
            f"with any warning or error {len(any_)} ({len(any_) / len(healthy):.1%})"
        )
        for line in any_:
            console.print(f"  {line}")
    console.print(peer_table(results, healthy))
    extra: dict[str, set[str]] = defaultdict(set)
    for r in results:
        case = REGISTRY[r["case"]]
        if not case.healthy:
            loud = {f["code"] for f in r.get("findings", ()) if f["severity"] in LOUD}
            extra[case.name] |= loud - case.expect - case.allow
    for name, codes in extra.items():
        if codes:
            console.print(f"also said of {name}: {' '.join(sorted(codes))}", style="dim")
    for line in out_of_bounds(results):
        console.print(f"zoo: {line}", style="dim")
    for r in results:
        if "error" in r:
            console.print(f"{r['case']}/{r['seed']}: {r['error']}")


def peer_table(results: list[dict[str, Any]], healthy: list[dict[str, Any]]) -> Table:
    """Recall of each peer on the codes it claims, ours on the same, and false alarms."""
    t = Table(title="Published rules on the same runs")
    for column in ("rules", "code", "pairs", "recall", "Evenflow", "healthy accused"):
        t.add_column(column, justify="left" if column in ("rules", "code") else "right")
    ours = by_code(results)
    for name, peer in PEERS.items():
        accused = sum(bool(r.get("peers", {}).get(name)) for r in healthy)
        rate = f"{accused}/{len(healthy)} ({accused / len(healthy):.0%})" if healthy else "–"
        for i, code in enumerate(sorted(peer.claims & ours.keys())):
            pairs = [r for r in results if code in REGISTRY[r["case"]].expect]
            found = sum(code in r.get("peers", {}).get(name, ()) for r in pairs)
            t.add_row(
                name if i == 0 else "",
                code,
                str(len(pairs)),
                f"{found / len(pairs):.0%}",
                f"{ours[code].found / ours[code].pairs:.0%}",
                rate if i == 0 else "",
            )
    accused = len(alarms(results, LOUD))
    if healthy:
        t.add_row(
            "Evenflow", "", "", "", "", f"{accused}/{len(healthy)} ({accused / len(healthy):.0%})"
        )
    return t
