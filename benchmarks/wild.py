"""Programs nobody here wrote, bare and watched: outputs equal? what is said? what does it cost?

    python benchmarks/wild.py FOLDER [--only REGEX] [--turns N] [--timeout S] [--out ROWS.json]

FOLDER holds programs of your own choice (none are shipped) and a `wild.toml` that says how each
is run:

    [[program]]
    name = "makemore"
    folder = "makemore"                     # relative to FOLDER; where it is run
    command = ["makemore.py", "--max-steps", "60"]   # as you would after `python`
    masks = ['took [0-9.]+ms']              # parts of the output that no two runs share
    env = { PYTHONPATH = "." }

Without a `wild.toml` each `*.py` of FOLDER is a program without arguments. Every program is run
bare twice and watched, `--turns` times by turns, each time in a fresh copy of its folder. Where the
two bare runs print the same, the watched one must too, character for character but for the masks
(numbers that look like seconds or steps per second are masked always), and end with the same code.
Printed: bare twice equal, watched equal, the verdict with its codes, the ratio of wall time, and
the cost that the run itself claims. Exit status 1 when an output or an exit code differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Times differ from run to run: "12.3ms", "0.5 s", "3 seconds", "120 it/s", "SPS: 812", ETA.
TIMES = (
    r"\d+(\.\d+)?\s?(ms|us|µs|s|sec|secs|seconds|min|it/s|s/it|steps/s)\b",
    r"\b(SPS|sps|fps|FPS|elapsed|[Tt]ime\w*)\W{0,3}\d+(\.\d+)?",
    r"\d\d?:\d\d(:\d\d)?",
)


@dataclass(frozen=True)
class Program:
    """One program: where and how it is run."""

    name: str
    folder: Path
    command: tuple[str, ...]
    masks: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """One run: what it printed, masked; its exit code (None: it was stopped); seconds."""

    out: str
    code: int | None
    wall: float
    told: str


@dataclass
class Row:
    """What is reported of one program."""

    name: str
    seeded: bool  # two bare runs print the same
    equal: bool
    codes: tuple[int | None, int | None]
    verdict: str
    findings: list[str]
    ratio: float
    claimed: float
    seconds: float
    note: str = ""

    @property
    def held(self) -> bool:
        """Nothing changed that can be compared."""
        return self.codes[0] == self.codes[1] and (self.equal or not self.seeded)


def programs(folder: Path) -> list[Program]:
    """What `wild.toml` lists, or each script of the folder.

    Raises:
        SystemExit: the folder or its list makes no sense; the message says what.
    """
    listed = folder / "wild.toml"
    if not folder.is_dir():
        sys.exit(f"there is no folder {str(folder)!r}")
    if not listed.exists():
        return [Program(p.stem, folder, (p.name,)) for p in sorted(folder.glob("*.py"))]
    try:
        table = tomllib.loads(listed.read_text(encoding="utf-8"))
        return [
            Program(
                name=str(p["name"]),
                folder=folder / p.get("folder", "."),
                command=tuple(map(str, p["command"])),
                masks=tuple(p.get("masks", ())),
                env={str(k): str(v) for k, v in p.get("env", {}).items()},
            )
            for p in table["program"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{listed}: {type(error).__name__}: {error}; see the top of benchmarks/wild.py")


def run(program: Program, watched: bool, timeout: float, scratch: Path) -> tuple[Ran, Path]:
    """One run in a copy of its folder; the run file's place (it exists if there was a training)."""
    here = Path(tempfile.mkdtemp(dir=scratch))
    shutil.copytree(program.folder, here / "p", symlinks=True)
    before = ["-m", "evenflow", "run", "--out", str(here / "r.evenflow")] if watched else []
    environment = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", **program.env}
    paths = (program.env.get("PYTHONPATH"), os.environ.get("PYTHONPATH"))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # ours may be among them
    began = time.perf_counter()
    code: int | None
    try:
        done = subprocess.run(
            [sys.executable, *before, *program.command],
            cwd=here / "p",
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        out, told, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        out, told, code = _text(error.stdout), _text(error.stderr), None
    wall = time.perf_counter() - began
    for mask in (*TIMES, *program.masks):
        out = re.sub(mask, "#", out)
    return Ran(out.replace(str(here), ""), code, wall, told), here / "r.evenflow"


def _text(data: bytes | str | None) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else data or ""


def row(program: Program, turns: int, timeout: float) -> Row:
    """All turns of one program, and what they come to."""
    import evenflow

    with tempfile.TemporaryDirectory() as scratch:
        bare: list[Ran] = []
        watched: list[Ran] = []
        for _ in range(turns):
            bare.append(run(program, False, timeout, Path(scratch))[0])
            one, file = run(program, True, timeout, Path(scratch))
            watched.append(one)
        bare.append(run(program, False, timeout, Path(scratch))[0])
        verdict, codes, claimed, note = "none", [], float("nan"), ""
        if file.exists():
            stored = evenflow.load(file)
            claimed = _claimed(stored)
            judged = subprocess.run(
                [sys.executable, "-m", "evenflow", "check", "--json", str(file)],
                capture_output=True,
                text=True,
            )
            if judged.stdout:
                told = json.loads(judged.stdout)
                verdict = told["verdict"]
                codes = [f"{f['severity'][0].upper()} {f['code']}" for f in told["findings"]]
            else:
                note = judged.stderr.strip()[-160:]
            stopped = [e.detail for e in stored.events if e.kind == "stopped"]
            note += "".join(f" stopped: {d.get('error')}"[:160] for d in stopped)
        if bare[0].code:
            note = f"{note} bare exit {bare[0].code}: {bare[0].told.strip()[-160:]}"
        return Row(
            name=program.name,
            seeded=all(b.out == bare[0].out for b in bare),
            equal=all(w.out == bare[0].out for w in watched),
            codes=(bare[0].code, watched[0].code),
            verdict=verdict,
            findings=codes,
            ratio=statistics.median(w.wall for w in watched)
            / statistics.median(b.wall for b in bare),
            claimed=claimed,
            seconds=statistics.median(b.wall for b in bare),
            note=note.strip(),
        )


def _claimed(stored: Any) -> float:
    from evenflow.report.layers import cost

    spent = cost(stored)
    return float("nan") if spent is None else float(spent)


def table(rows: Sequence[Row]) -> str:
    """Markdown, a row a program."""
    lines = [
        "| program | bare s | bare = bare | watched = bare | exit | verdict | findings | ratio "
        "| claimed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        exits = str(r.codes[0]) if r.codes[0] == r.codes[1] else f"{r.codes[0]} -> {r.codes[1]}"
        cells = (
            r.name,
            f"{r.seconds:.1f}",
            "yes" if r.seeded else "no",
            "yes" if r.equal else "NO" if r.seeded else "-",
            exits,
            r.verdict,
            ", ".join(r.findings) or "-",
            f"{r.ratio:.2f}",
            f"{r.claimed:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |" + (f" <!-- {r.note} -->" if r.note else ""))
    return "\n".join(lines)


def main() -> int:
    """Run all; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300.0, metavar="S")
    parser.add_argument("--out", type=Path, metavar="FILE")
    asked = parser.parse_args()
    rows = []
    for program in programs(asked.folder.absolute()):
        if re.search(asked.only, program.name):
            rows.append(row(program, asked.turns, asked.timeout))
            print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(rows))
    if asked.out:
        asked.out.write_text(json.dumps([asdict(r) for r in rows], indent=2))
    return int(not all(r.held for r in rows))


if __name__ == "__main__":
    sys.exit(main())
