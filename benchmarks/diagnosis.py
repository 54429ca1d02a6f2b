"""How often Evenflow names the fault, and how often it cries wolf: the zoo, over seeds.

    python benchmarks/diagnosis.py [--half report] [--seeds 5] [--jobs 2] [--cases REGEX]
                                   [--out FILE.json] [--stats FILE.json] [--keep FOLDER]

Every (case, seed) is trained under `evenflow.watch` in a worker process, judged, and held
against what the case expects; the published rules of `peers/` are judged on the same runs.
Exit status 1 when a bar is missed on the chosen half: recall 95 % per code, right site 95 %,
no error and at most 2 % warnings on healthy pairs.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the zoo
sys.path.insert(0, str(Path(__file__).resolve().parent))

from tables import bars, print_tables

#: Seeds of the calibration half, so that none is ever both tuned on and reported.
CALIBRATION_SEED = 100


def one(task: tuple[str, int, str | None, bool]) -> dict[str, Any]:
    """Train, watch and judge one (case, seed); never raises, says "error" instead."""
    name, seed, keep, stats = task
    import torch

    import evenflow
    from peers import PEERS
    from zoo import REGISTRY

    torch.set_num_threads(1)
    case = REGISTRY[name]
    out: dict[str, Any] = {"case": name, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(keep or folder) / f"{name}-{seed}.evenflow"
        path.unlink(missing_ok=True)
        try:
            start = time.perf_counter()
            with evenflow.watch(run=path, every="auto"):
                out["score"] = case.train(seed)
            out["seconds"] = time.perf_counter() - start
            run = evenflow.load(path)
            out["sampled"] = len(run.steps)
            out["stopped"] = [dict(e.detail) for e in run.events if e.kind == "stopped"]
            out["findings"] = [
                {
                    "code": f.code,
                    "severity": f.severity.name,
                    "site": run.sites[f.sites[0]].name if f.sites else "",
                    "params": list(f.params),
                    "first_step": f.first_step,
                    "cause": f.cause,
                    "evidence": dict(f.evidence),
                }
                for f in evenflow.diagnose(run)
            ]
            out["peers"] = {p: sorted(peer.judge(run)) for p, peer in PEERS.items()}
            if stats:
                from stats import key_readings

                out["stats"] = key_readings(run)
        except Exception as e:
            import traceback

            out["error"] = f"{type(e).__name__}: {e}"
            out["trace"] = traceback.format_exc()
    return out


def options() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--half", choices=("calibration", "report"), default="report")
    p.add_argument("--seeds", type=int, default=5, help="how many")
    p.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    p.add_argument("--cases", default="", help="only cases whose name matches this regex")
    p.add_argument("--out", type=Path, help="write every result to this JSON file")
    p.add_argument("--stats", type=Path, help="write key readings (calibration half only)")
    p.add_argument("--keep", type=Path, help="keep the run files in this folder")
    o = p.parse_args()
    if o.stats and o.half == "report":
        p.error("--stats is for setting thresholds, and the report half is not for that")
    return o


def main() -> int:
    """Run, print, and say whether the bars were met."""
    o = options()
    from zoo import select

    cases = [c for c in select(o.half) if re.search(o.cases, c.name)]
    if not cases:
        print(f"no case of the {o.half} half matches {o.cases!r}", file=sys.stderr)
        return 2
    if o.keep:
        o.keep.mkdir(parents=True, exist_ok=True)
    first = CALIBRATION_SEED if o.half == "calibration" else 0
    keep = str(o.keep) if o.keep else None
    tasks = [
        (c.name, s, keep, o.stats is not None) for s in range(first, first + o.seeds) for c in cases
    ]
    results: list[dict[str, Any]] = []
    start = time.time()
    # forkserver and spawn start clean; a fork of a process that used torch may hang
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(o.jobs, context) as pool:
        for i, result in enumerate(pool.map(one, tasks), 1):
            results.append(result)
            if sys.stderr.isatty() or i % 50 == 0 or i == len(tasks):
                print(f"\r{i}/{len(tasks)}  {time.time() - start:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    if o.out:
        o.out.write_text(json.dumps(results, indent=1))
    if o.stats:
        o.stats.write_text(json.dumps(results, indent=1))
    print_tables(results, o.half)
    missed = bars(results)
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
