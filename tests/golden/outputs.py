"""Write the frozen outputs, or hold the code of two worktrees against each other.

    python tests/golden/outputs.py [--kinds check,explain]     writes stored/*.json
    python tests/golden/outputs.py --compare WORKTREE          its code against this, to the bit
    python tests/golden/outputs.py --elsewhere                 what differs under older instructions

One core, some four minutes for all. Exit status 1 when something differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STORED = HERE / "stored"
KINDS = ("names", "commands", "activations", "explain", "preflight", "check", "cure")
#: Before torch is imported: nothing may depend on the machine's cores, nor on the user's settings.
ALONE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "EVENFLOW_STRICT": "1",
    "EVENFLOW_LANG": "en",
}
#: What makes this processor round as an older one does.
OLDER = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}


@cache
def read(kind: str) -> dict[str, Any]:
    """The frozen outputs of a kind by case."""
    found: dict[str, Any] = json.loads((STORED / f"{kind}.json").read_text(encoding="utf-8"))
    return found


def write(kinds: tuple[str, ...], only: str) -> int:
    """Freeze what the code of this process says."""
    from golden.freezing import freeze, written

    for kind, cases in made(kinds, only).items():
        cases = {**(read(kind) if only else {}), **freeze(cases)}
        (STORED / f"{kind}.json").write_text(written(cases) + "\n", encoding="utf-8")
    return 0


def made(kinds: tuple[str, ...], only: str = "") -> dict[str, dict[str, Any]]:
    """All outputs, as they are; of the cases that match `only`."""
    import torch

    from golden import kinds as every

    torch.set_num_threads(1)
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        found[kind] = {}
        cases = {n: make for n, make in every.KINDS[kind].items() if re.search(only, n)}
        for i, (name, make) in enumerate(cases.items(), 1):
            print(f"\r\033[K{kind} {i}/{len(cases)}", end="", file=sys.stderr)
            found[kind][name] = make()
    print(file=sys.stderr)
    return found


def outputs_of(root: Path, kinds: tuple[str, ...], **variables: str) -> dict[str, dict[str, Any]]:
    """What a worktree's code says, in a process of its own; by our script if it has none."""
    script = root / "tests/golden/outputs.py"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outputs.json"
        command = [sys.executable, str(script if script.exists() else HERE / "outputs.py")]
        command += ["--raw", str(path), "--kinds", ",".join(kinds)]
        paths = str(root / "src")
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths, **variables})
        found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def compare(root: Path, kinds: tuple[str, ...]) -> int:
    """Print where the other worktree's code says something else, in its last bit at least."""
    from golden.freezing import exact

    old, new = outputs_of(root, kinds), outputs_of(ROOT, kinds)
    found = list(exact(old, new))
    print(*found, f"{len(found)} differences", sep="\n")
    return int(bool(found))


def elsewhere(kinds: tuple[str, ...]) -> int:
    """Print where older instructions leave what is stored, excuses left out."""
    from golden.freezing import differences
    from golden.unfrozen import excused

    found = [
        f"{kind}/{name}{said}"
        for kind, cases in outputs_of(ROOT, kinds, **OLDER).items()
        for name, now in cases.items()
        for said in differences(read(kind)[name], now)
        if not excused(f"{kind}/{name}", said)
    ]
    print(*found, f"{len(found)} differences", sep="\n")
    return int(bool(found))


def main() -> int:
    """Do what the options ask for."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--kinds", default=",".join(KINDS), help="only these, with commas between")
    p.add_argument("--only", default="", metavar="REGEX", help="rewrite only the cases it is in")
    p.add_argument("--compare", type=Path, metavar="WORKTREE")
    p.add_argument("--elsewhere", action="store_true")
    p.add_argument("--raw", type=Path, metavar="FILE", help="write all, to the last bit, as JSON")
    o = p.parse_args()
    kinds = tuple(o.kinds.split(","))
    if unknown := set(kinds) - set(KINDS):
        p.error(f"{', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    if o.compare:
        return compare(o.compare.resolve(), kinds)
    if o.elsewhere:
        return elsewhere(kinds)
    if o.raw:
        o.raw.write_text(json.dumps(made(kinds)), encoding="utf-8")
        return 0
    return write(kinds, o.only)


if __name__ == "__main__":
    for variable in [name for name in os.environ if name.startswith("EVENFLOW_")]:
        del os.environ[variable]
    os.environ.update(ALONE)
    # With --raw, PYTHONPATH says whose code it is.
    sys.path[:1] = [str(HERE.parent), str(ROOT), *[str(ROOT / "src")] * ("--raw" not in sys.argv)]
    sys.exit(main())
