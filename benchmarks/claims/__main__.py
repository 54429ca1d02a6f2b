"""Measure claims: `python -m benchmarks.claims [NAME ...]` (from the root of the checkout).

Prints each verdict with its figures, keeps them in `results.json` and writes `docs/claims.md`.
Exit status 1 when a verdict is not borne out, 2 for a name that is no claim's.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch

from . import pages
from .registry import CLAIMS

SEEDS = 5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which claims (default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small; nothing is written down")
    parser.add_argument("--list", action="store_true", help="show the names and stop")
    parser.add_argument("--pages", action="store_true", help="write docs/claims.md anew and stop")
    args = parser.parse_args(arguments)
    if args.list:
        widest = max(map(len, CLAIMS))
        for claim in CLAIMS.values():
            print(f"{claim.name:<{widest}}  {claim.statement}")
        return 0
    wrong = [name for name in args.names if name not in CLAIMS]
    if wrong or args.seeds < 1:
        what = f"no claim {wrong[0]!r}; there are {', '.join(CLAIMS)}" if wrong else "--seeds 0"
        print(f"python -m benchmarks.claims: {what}.", file=sys.stderr)
        return 2
    torch.set_num_threads(1)  # the figures' last digits depend on it
    borne_out = True
    for name in [] if args.pages else args.names or CLAIMS:
        claim, start = CLAIMS[name], time.process_time()
        rows = claim.measure(range(args.seeds if claim.random else 1), args.quick)
        result = pages.Result(rows, time.process_time() - start, torch.__version__)
        print(pages.told(claim, result, full=not args.quick), flush=True)
        borne_out &= claim.holds(rows)
        if not args.quick:
            pages.save(pages.load() | {name: result})  # another process may have written too
    if not args.quick:
        pages.write(pages.load())
    return 0 if borne_out else 1


if __name__ == "__main__":
    raise SystemExit(main())
