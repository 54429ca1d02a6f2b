"""What was measured: kept in `results.json`, told in a terminal, and as `docs/claims.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .base import Claim, Row, Rows, shown
from .registry import CLAIMS

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs/claims.md"


@dataclass(frozen=True, slots=True)
class Result:
    """One claim's measurement.

    Attributes:
        rows: what `Claim.measure` gave.
        seconds: of one thread, on whatever machine that was.
        torch: the version of PyTorch.
    """

    rows: Rows
    seconds: float
    torch: str

    @property
    def seeds(self) -> int:
        """Of how many seeds; 1 where nothing is random."""
        return max(len(v) for row in self.rows for v in row.figures.values())


def load() -> dict[str, Result]:
    """By name, in the registry's order; what is not there was not measured yet."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return {
        name: Result(
            Rows(
                Row(setting, {k: [float(v) for v in values] for k, values in figures.items()})
                for setting, figures in kept[name]["rows"].items()
            ),
            kept[name]["seconds"],
            kept[name]["torch"],
        )
        for name in CLAIMS
        if name in kept
    }


def save(results: dict[str, Result]) -> None:
    """Twelve digits; a value that is not finite as a string, which JSON has no number for."""
    kept = {
        name: {
            "torch": results[name].torch,
            "seconds": round(results[name].seconds, 1),
            "rows": {
                row.setting: {
                    k: [f"{v:.6g}" if v - v else float(f"{v:.12g}") for v in values]
                    for k, values in row.figures.items()
                }
                for row in results[name].rows
            },
        }
        for name in CLAIMS
        if name in results
    }
    text = json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")


def header(rows: Rows) -> list[str]:
    """Every figure that some row has, in the order they come."""
    return list(dict.fromkeys(name for row in rows for name in row.figures))


def cells(rows: Rows) -> list[list[str]]:
    """A line a setting: its name, then each figure, "" where it has none."""
    return [
        [row.setting, *(shown(row.figures[k]) if k in row.figures else "" for k in header(rows))]
        for row in rows
    ]


def told(claim: Claim, result: Result, full: bool = True) -> str:
    """Verdict, table and finding as plain text. `full` rows have a finding; quick ones lack
    settings that it speaks of."""
    verdict = claim.verdict if claim.holds(result.rows) else f"{claim.verdict}: NOT BORNE OUT"
    lines = [["", *header(result.rows)], *cells(result.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    table = "\n".join(
        "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    seeds = f", median [least, most] of {result.seeds} seeds" if claim.random else ""
    return (
        f"{claim.name}: {claim.statement}\n  {verdict.upper()}  "
        f"({claim.size if full else 'reduced'}{seeds}; {result.seconds:.0f} s)\n{table}\n"
        + (f"{claim.tell(result.rows)}\n" if full else "")
    )


def page(results: dict[str, Result]) -> str:
    """`docs/claims.md`: the table of verdicts, then each claim with all its figures."""
    out = [
        "# Claims",
        "Textbook statements put to the measurement. A row is written by the command beside it, "
        "from the root of a checkout, and says what was found whether or not it suits us; "
        "`python -m benchmarks.claims` measures them all. Verdicts: *true*, *false*, "
        "*true only if* (a condition that textbooks leave out), *depends* (true of one part, "
        "false of another). Each is for the networks and data named, no larger ones.",
    ]
    lines = ["| statement | verdict | what was found | command |", "|---|---|---|---|"]
    for name, result in results.items():
        claim = CLAIMS[name]
        said = claim.tell(result.rows).replace("|", "\\|")
        lines.append(
            f"| [{claim.statement}](#{name}) | **{claim.verdict}** | {said} | `{claim.command}` |"
        )
    out.append("\n".join(lines))
    for name, result in results.items():
        claim = CLAIMS[name]
        out.append(f"## {name}")
        out.append(f"*{claim.statement}* ({claim.source}) **{claim.verdict.capitalize()}.**")
        seeds = f"; median [least, most] of {result.seeds} seeds" if claim.random else ""
        out.append(
            f"{claim.size[0].upper()}{claim.size[1:]}{seeds}; torch {result.torch}, "
            f"{result.seconds:.0f} s."
        )
        table = [["", *header(result.rows)], *cells(result.rows)]
        rows = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in table]
        rows.insert(1, "|" + "---|" * len(table[0]))
        out.append("\n".join(rows))
    return "\n\n".join(out) + "\n"


def write(results: dict[str, Result]) -> None:
    """Write `docs/claims.md` from what was measured."""
    PAGE.write_text(page(results), encoding="utf-8")
