"""The tables of `cure.py`: who cured what, at which cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

METHODS = ("nothing", "list", "random", "ours")
#: Ours must cure this share of all (program, seed) pairs, and more than any other method.
BAR = 0.95


def print_tables(rows: Sequence[dict[str, Any]]) -> bool:
    """Share cured by each method, per program and in all; what ours missed; processor time.

    True if ours meets the bar, or was not among the methods.
    """
    met = True
    methods = [m for m in METHODS if rows and all(m in r for r in rows)]
    programs = sorted({r["program"] for r in rows})
    print(f"\n{'cured of seeds':30}{'twin':>9}" + "".join(f"{m:>9}" for m in methods))
    for name in programs:
        mine = [r for r in rows if r["program"] == name]
        twin = sum(r["twin"] for r in mine) / len(mine)
        cells = [f"{sum(r[m]['cured'] for r in mine)}/{len(mine)}" for m in methods]
        print(f"{name:30}{twin:9.3f}" + "".join(f"{c:>9}" for c in cells))
    shares = {m: sum(r[m]["cured"] for r in rows) / len(rows) for m in methods}
    print(f"{'share':39}" + "".join(f"{shares[m]:>9.1%}" for m in methods))
    if "ours" in methods:
        for r in rows:
            if not r["ours"]["cured"]:
                print(
                    f"missed: {r['program']} seed {r['seed']}: {r['ours']['score']} by "
                    f"{r['ours']['chosen']!r} ({r['ours']['verdict']}), twin {r['twin']:.3f}"
                )
        most = max((r["ours"]["runs"] for r in rows), default=0)
        others = max((s for m, s in shares.items() if m != "ours"), default=0.0)
        met = shares["ours"] >= BAR and shares["ours"] > others
        print(f"run-equivalents ours: at most {most}; bar ({BAR:.0%} and ahead): {met}")
    total = sum(sum(r["cpu"].values()) for r in rows)
    print(f"processor time {total / 60:.1f} min, longest pair {max(r['seconds'] for r in rows)} s")
    return met


def print_healthy(rows: Sequence[dict[str, Any]]) -> bool:
    """How many healthy networks are left alone; True if all are."""
    left = [
        r
        for r in rows
        if r["verdict"] == "healthy" and not r["chosen"] and r["runs"] == 1 and r["same"]
    ]
    print(f"\nhealthy, nothing to do, after one watched run: {len(left)} of {len(rows)}")
    for r in rows:
        if r not in left:
            print(
                f"  {r['program']} seed {r['seed']}: {r['verdict']}, {r['findings']}, "
                f"{r['chosen']!r}, {r['runs']} runs, same score {r['same']}"
            )
    return len(left) == len(rows)
