"""Faults planted in small transformers: which change the training, which are told, and where?

    python benchmarks/mutants.py [--half report] [--seeds 1] [--clean 5] [--jobs 1] [--only REGEX]
                                 [--every auto] [--thin] [--out FILE.json]

Each kind of `planted/kinds.py` is planted in the programs of a half (an encoder and a decoder that
the other half has never seen) and trained for a few seconds under `evenflow.watch`.
Measurable is a fault whose held-out loss lies above the clean trainings' (of `--clean` seeds) by
four of their standard deviations and by a twentieth; a fault that tells the loss alone (`codes`) is
measurable also where the accuracy falls so. Detected: a warning or an error. At the right part: the
first of them names a site or a parameter of the part that is at fault, or the fault's own code.
Exit status 1 where less than 80 % of the measurable ones are detected or less than 80 % of these at
the right part, or a clean one has an error.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))


@dataclass
class Planted:
    """One training: how it ended and what was said of it."""

    program: str
    kind: str  # "" for a clean one
    seed: int
    loss: float = float("nan")
    accuracy: float = float("nan")
    findings: list[tuple[str, str, list[str]]] = field(default_factory=list)
    error: str = ""

    @property
    def grave(self) -> list[tuple[str, str, list[str]]]:
        """Warnings and errors: (severity, code, names of sites and parameters)."""
        return [f for f in self.findings if f[0] in ("warning", "error")]


def one(task: tuple[str, str, int], every: str) -> Planted:
    """Train, watch, judge; says "error" instead of raising."""
    import torch

    import evenflow
    from planted import KINDS, PROGRAMS, train

    torch.set_num_threads(1)
    program, name, seed = task
    kind = next((k for k in KINDS if k.name == name), None)
    out = Planted(*task)
    with tempfile.TemporaryDirectory() as folder:
        run_file = Path(folder) / "r.evenflow"
        try:
            with evenflow.watch(run=run_file, every=every if every == "auto" else int(every)):
                trained = train(PROGRAMS[program], kind, seed)
            out.loss, out.accuracy = trained.loss, trained.accuracy
            run = evenflow.load(run_file)
            out.findings = [
                (f.severity.name, f.code, [*(run.sites[s].name for s in f.sites), *f.params])
                for f in evenflow.diagnose(run)
            ]
        except Exception as error:
            out.error = f"{type(error).__name__}: {error}"
    return out


def measurable(planted: Planted, clean: Sequence[Planted]) -> bool:
    """Did the fault harm the training, beyond what seeds do?"""
    for value, others, sign in (
        (planted.loss, [c.loss for c in clean], 1.0),
        (planted.accuracy, [c.accuracy for c in clean], -1.0),
    ):
        if value != value:
            return True
        middle, spread = statistics.mean(others), statistics.stdev(others)
        if sign * (value - middle) > max(4 * spread, 0.05 * abs(middle)):
            return True
    return False


def at_right_part(planted: Planted) -> bool:
    """The first warning or error names the part at fault, or has the fault's own code."""
    from planted import KINDS

    kind = next(k for k in KINDS if k.name == planted.kind)
    _, code, names = planted.grave[0]
    if code in kind.codes.split():
        return True
    return bool(kind.part) and any(re.search(kind.part, name) for name in names)


def rows(results: Sequence[Planted]) -> list[tuple[Planted, bool]]:
    """Each planted training, and whether it is measurable."""
    clean = {
        p.program: [c for c in results if c.program == p.program and not c.kind] for p in results
    }
    return [(p, measurable(p, clean[p.program])) for p in results if p.kind and not p.error]


def table(results: Sequence[Planted]) -> str:
    """A row a training, then the sums."""
    from planted import KINDS

    unseen = {k.name: k.unseen for k in KINDS}
    lines = [f"{'fault':28} {'program':16} {'loss':>8} {'accuracy':>8}  harm  said"]
    for c in results:
        if c.error:
            lines.append(f"{c.kind or 'clean':28} {c.program:16} ERROR {c.error}")
        elif not c.kind:
            lines.append(
                f"{'clean':28} {c.program:16} {c.loss:8.3f} {c.accuracy:8.3f}  -     {_said(c)}"
            )
    for p, harm in rows(results):
        right = "" if not p.grave else " right" if at_right_part(p) else " elsewhere"
        why = "" if p.grave or not unseen[p.kind] else f"({unseen[p.kind]})"
        lines.append(
            f"{p.kind:28} {p.program:16} {p.loss:8.3f} {p.accuracy:8.3f}  "
            f"{'yes' if harm else 'no ':5} {_said(p)}{right} {why}"
        )
    return "\n".join((*lines, "", *sums(results)))


def _said(p: Planted) -> str:
    return " ".join(f"{severity[0].upper()}:{code}" for severity, code, _ in p.findings)


def sums(results: Sequence[Planted]) -> list[str]:
    """The bars' figures, with and without what no reading of one run can show."""
    from planted import KINDS

    unseen = {k.name for k in KINDS if k.unseen}
    lines = []
    for what, keep in (
        ("all", rows(results)),
        ("what a reading can show", [r for r in rows(results) if r[0].kind not in unseen]),
    ):
        harmed = [p for p, harm in keep if harm]
        told = [p for p in harmed if p.grave]
        right = [p for p in told if at_right_part(p)]
        lines.append(
            f"{what}: {len(keep)} planted, {len(harmed)} measurable, {len(told)} detected "
            f"({_share(told, harmed)}), {len(right)} of these at the right part "
            f"({_share(right, told)})"
        )
    clean = [c for c in results if not c.kind]
    errors = sum(any(s == "error" for s, _, _ in c.grave) for c in clean)
    warned = sum(bool(c.grave) for c in clean) - errors
    lines.append(f"clean: {len(clean)}, with an error {errors}, with a warning {warned}")
    return lines


def _share(some: Sequence[object], of: Sequence[object]) -> str:
    return f"{len(some) / len(of):.0%}" if of else "-"


def missed_bars(results: Sequence[Planted]) -> bool:
    """Issue 16, accept 3."""
    harmed = [p for p, harm in rows(results) if harm]
    told = [p for p in harmed if p.grave]
    right = sum(at_right_part(p) for p in told)
    wrong = any(s == "error" for c in results if not c.kind for s, _, _ in c.grave)
    return wrong or len(told) < 0.8 * len(harmed) or right < 0.8 * len(told)


def main() -> int:
    """Train all, print, and say whether the bars were met."""
    from planted import KINDS, PROGRAMS

    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--half", choices=("calibration", "report"), default="report")
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--clean", type=int, default=5, help="clean trainings of each program")
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--only", default="", metavar="REGEX")
    p.add_argument("--table", type=Path, metavar="FILE", help="of what --out wrote; trains nothing")
    p.add_argument("--thin", action="store_true", help="each kind in one program, by turns")
    p.add_argument("--every", default="auto", help="sampling; N where other work runs beside it")
    p.add_argument("--out", type=Path, metavar="FILE")
    o = p.parse_args()
    if o.table:
        print(table([Planted(**row) for row in json.loads(o.table.read_text())]))
        return 0
    programs = [q for q in PROGRAMS.values() if q.half == o.half]
    first = 100 if o.half == "calibration" else 0
    tasks = [(q.name, "", first + s) for q in programs for s in range(o.clean)]
    kinds = [k for k in KINDS if re.search(o.only, k.name)]
    random.Random(0).shuffle(kinds)  # so that what an interrupted run has is a fair share
    for i, kind in enumerate(kinds):
        allowed = [q.name for q in programs if kind.only in q.name]
        chosen = [allowed[i % len(allowed)]] if o.thin else allowed
        tasks += [(name, kind.name, first + s) for name in chosen for s in range(o.seeds)]
    results: list[Planted] = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(o.jobs, context) as pool:
        for done in pool.map(one, tasks, [o.every] * len(tasks)):
            results.append(done)
            print(
                f"{done.kind or 'clean'} {done.program}: {_said(done)} {done.error}",
                file=sys.stderr,
            )
            if o.out:
                o.out.write_text(json.dumps([asdict(r) for r in results]))
    print(table(results))
    return int(missed_bars(results))


if __name__ == "__main__":
    sys.exit(main())
