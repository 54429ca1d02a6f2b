"""Whole scripts with one fault each, and their healthy twins: is the true cause told first?

    python benchmarks/cases.py                               # the project's own pairs, cases/
    python benchmarks/cases.py FOLDER --expect 01=EF701 20=EF407,EF401 [--only REGEX] [--jobs N]
                               [--every auto] [--out FILE.json] [--keep FOLDER]

FOLDER holds `NAME_sick.py` and `NAME_healthy.py`. What a sick script should be told is the code
(or codes, parted by commas) that its docstring begins with, or, for scripts that do not say so,
what `--expect` has for the part of the name before the first underscore; `--expect @FILE` reads
the pairs from a file, one a line. Each script is run by `evenflow run` and judged by `evenflow
check`, as a stranger would, and scored by the first warning or error:

    full     an expected code
    symptom  a code that is true of such runs but no cause: gradients, activations, losses
    wrong    a cause that is not the one: data, start, set-up, loop
    missed   no warning and no error

Twins: errors and warnings are counted. The published rules of `peers/` are judged on the same run
files; they do not rank what they claim, so any expected code is full. Exit status 1 when a bar is
missed: 90 % full, none missed, none wrong, no error and at most one warning on the twins.
"""

from __future__ import annotations

import argparse
import ast
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

SCORES = ("full", "symptom", "wrong", "missed")
OWN = Path(__file__).resolve().parent / "cases"

#: Codes that name a cause; all others say what it did to gradients, activations or the loss.
CAUSE = re.compile(r"EF(303|405|407|[5678]\d\d)")
EXPECTED = re.compile(r"EF\d{3}(,EF\d{3})*")


@dataclass
class Told:
    """One script and what was said of it."""

    name: str
    expected: tuple[str, ...]  # empty: a healthy twin
    findings: list[tuple[str, str]] = field(default_factory=list)  # (severity, code), in order
    peers: dict[str, list[str]] = field(default_factory=dict)
    note: str = ""

    @property
    def grave(self) -> list[tuple[str, str]]:
        """Warnings and errors, as ordered by the check."""
        return [f for f in self.findings if f[0] in ("warning", "error")]

    @property
    def score(self) -> str:
        """Of a sick script, by its first grave finding."""
        if not self.grave:
            return "missed"
        return scored(self.grave[0][1], self.expected)


def scored(code: str, expected: Iterable[str]) -> str:
    """What a first finding is worth."""
    if code in expected:
        return "full"
    return "wrong" if CAUSE.fullmatch(code) else "symptom"


def peer_score(claimed: Sequence[str], expected: Iterable[str]) -> str:
    """What an unordered set of claims is worth at best."""
    worth = {scored(code, expected) for code in claimed} or {"missed"}
    return next(s for s in SCORES if s in worth)


def expectation(script: Path, table: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The codes a sick script should be told first.

    Raises:
        SystemExit: neither its docstring nor the table says.
    """
    key = script.stem.split("_")[0]
    doc = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    said = EXPECTED.match(doc)
    if key not in table and not said:
        sys.exit(f"what should {script.name} be told? Say --expect {key}=EFnnn")
    return table[key] if key in table else tuple(said[0].split(",")) if said else ()


def one(
    script: Path, expected: tuple[str, ...], keep: Path | None, timeout: float, every: str = "auto"
) -> Told:
    """Run, judge, and ask the peers; never raises, notes what failed instead."""
    told = Told(script.stem, expected)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    evenflow = (sys.executable, "-m", "evenflow")
    with tempfile.TemporaryDirectory() as folder:
        run = (keep or Path(folder)) / f"{script.stem}.evenflow"
        run.unlink(missing_ok=True)
        try:
            ran = subprocess.run(
                [*evenflow, "run", "--every", every, "--out", str(run), str(script.absolute())],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout,
            )  # fmt: skip
            told.note = ran.stderr.strip()[-200:] if ran.returncode else ""
            judged = subprocess.run(
                [*evenflow, "check", "--json", str(run)],
                env=environment, capture_output=True, text=True, timeout=timeout,
            )  # fmt: skip
            if not judged.stdout:  # unjudged: why stands on stderr
                told.note = judged.stderr.strip()[-200:]
                return told
            found = json.loads(judged.stdout)["findings"]
            told.findings = [(f["severity"], f["code"]) for f in found]
            told.peers = _peers(run)
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            told.note = f"{told.note} {type(error).__name__}: {error}".strip()
    return told


def _peers(run: Path) -> dict[str, list[str]]:
    import evenflow
    from peers import PEERS

    stored = evenflow.load(run)
    return {name: sorted(peer.judge(stored)) for name, peer in PEERS.items()}


def table(results: Sequence[Told]) -> str:
    """A row a script, then the sums, then the peers'."""
    lines = [f"{'script':42} {'expected':12} {'score':8} said"]
    for told in results:
        said = " ".join(f"{severity[0].upper()}:{code}" for severity, code in told.findings)
        score = told.score if told.expected else ("-" if not told.grave else "ACCUSED")
        row = f"{told.name:42} {','.join(told.expected):12} {score:8} {said}"
        lines.append(f"{row}  {told.note.splitlines()[-1]}" if told.note else row)
    sick = [t for t in results if t.expected]
    twins = [t for t in results if not t.expected]
    counts = collections.Counter(t.score for t in sick)
    lines += ["", f"{'':20} " + " ".join(f"{s:>8}" for s in SCORES) + "   twins accused"]
    accused = sum(bool(t.grave) for t in twins)
    lines.append(_sums("Evenflow", counts, f"{accused} of {len(twins)}"))
    for name in dict.fromkeys(n for t in results for n in t.peers):
        counts = collections.Counter(peer_score(t.peers.get(name, ()), t.expected) for t in sick)
        accused = sum(bool(t.peers.get(name)) for t in twins)
        lines.append(_sums(name, counts, f"{accused} of {len(twins)}"))
    return "\n".join(lines)


def _sums(name: str, counts: collections.Counter[str], twins: str) -> str:
    return f"{name:20} " + " ".join(f"{counts[s]:8}" for s in SCORES) + f"   {twins}"


def missed_bars(results: Sequence[Told]) -> list[str]:
    """Issue 16's bars that do not hold."""
    sick = [t for t in results if t.expected]
    twins = [severity for t in results if not t.expected for severity, _ in t.grave]
    scores = collections.Counter(t.score for t in sick)
    bars = {
        f"full: {scores['full']} of {len(sick)}, not 90 %": scores["full"] < 0.9 * len(sick),
        f"missed: {scores['missed']}": scores["missed"] > 0,
        f"wrong: {scores['wrong']}": scores["wrong"] > 0,
        f"errors on twins: {twins.count('error')}": "error" in twins,
        f"warnings on twins: {twins.count('warning')}": twins.count("warning") > 1,
    }
    return [text for text, broken in bars.items() if broken]


def options() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], fromfile_prefix_chars="@"
    )
    p.add_argument("folder", type=Path, nargs="?", default=OWN)
    p.add_argument("--expect", nargs="+", default=[], metavar="NN=CODES")
    p.add_argument("--only", default="", metavar="REGEX")
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--timeout", type=float, default=300.0, metavar="S")
    p.add_argument("--every", default="auto", help="sampling; N where other work runs beside it")
    p.add_argument("--out", type=Path, metavar="FILE")
    p.add_argument("--keep", type=Path, metavar="FOLDER")
    o = p.parse_args()
    for pair in o.expect:
        if not re.fullmatch(rf"\w+={EXPECTED.pattern}", pair):
            p.error(f"--expect {pair!r}: say NN=EF701 or NN=EF407,EF401")
    return o


def main() -> int:
    """Run, print, and say whether the bars were met."""
    o = options()
    pairs = (pair.split("=") for pair in o.expect)
    expect = {key: tuple(codes.split(",")) for key, codes in pairs}
    scripts = sorted(o.folder.glob("*_sick.py")) + sorted(o.folder.glob("*_healthy.py"))
    scripts = [s for s in scripts if re.search(o.only, s.stem)]
    if not scripts:
        print(f"no script of {o.folder} matches {o.only!r}", file=sys.stderr)
        return 2
    if o.keep:
        o.keep.mkdir(parents=True, exist_ok=True)
    wanted = [expectation(s, expect) if s.stem.endswith("_sick") else () for s in scripts]
    results: list[Told] = []
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        tasks = zip(scripts, wanted, strict=True)
        for turn in [pool.submit(one, s, w, o.keep, o.timeout, o.every) for s, w in tasks]:
            results.append(turn.result())
            print(table(results[-1:]).splitlines()[1], file=sys.stderr, flush=True)
    print(table(results))
    if o.out:
        rows = [{**asdict(t), "score": t.score if t.expected else None} for t in results]
        o.out.write_text(json.dumps(rows, indent=1))
    missed = missed_bars(results)
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
