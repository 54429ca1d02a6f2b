"""From a script to a proven treatment: run, diagnose, prescribe, search, confirm."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..diagnosis import diagnose
from ..report import headline
from ..schema import Finding, Run, verdict
from ..schema.treatment import text
from ..store import load
from . import budget as budgets
from . import metric as metrics
from .budget import Budget
from .candidates import Candidate
from .confirm import Confirmation, uncontrolled
from .engine import Engine, LocalPool, Remembered
from .goal import Goal, Tried
from .job import Job, Outcome, Program
from .medicine import Prescription, edits, known, prescription
from .record import Cure, unique
from .score import Estimate, estimate
from .scratch import LEFT_OUT, Snapshot, clear_abandoned
from .search import WIDEST, Search

#: Where states of cures are kept, in the folder the command was given in.
FOLDER = "evenflow-cure"
#: The untreated run gets this share of the wall time: what is left must hold a treated one.
FIRST_SHARE = 0.45


class CannotCure(Exception):
    """The script could not be run or judged; the message says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to cure.

    Attributes:
        metric: regular expression of the user's metric; "" = the training loss.
        minimize: smaller values of the metric are better.
        seeds: pairs of runs of the proof.
        budget: "10m", "90s", or "12x" for run-equivalents.
        jobs: processes side by side; 0 = as many as the machine has cores and memory for.
        in_place: run in the folder itself, without scratch copies.
        fresh: forget what earlier cures of this script have run.
        without: treatments not to try: kinds ("norm"), or kinds with their method ("init=he").
    """

    metric: str = ""
    minimize: bool = False
    seeds: int = 3
    budget: str = "10m"
    jobs: int = 0
    in_place: bool = False
    fresh: bool = False
    without: tuple[str, ...] = ()


#: Hears of each stage and of each outcome: (stage, jobs of it), (job, outcome, remembered).
Hear = Callable[[str, int], None]
Heard = Callable[[Job, Outcome, bool], None]


def conduct(
    program: Program,
    settings: Settings,
    child: Sequence[str],
    *,
    hear: Hear = lambda stage, jobs: None,
    heard: Heard = lambda job, outcome, remembered: None,
    prescribe: Callable[[Run, Sequence[Finding]], Prescription] = prescription,
) -> Cure:
    """Find and prove a treatment for a script. `child` is the command that runs one job.

    Interrupted and asked again, it goes on where it was: every finished run is in the journal.

    Raises:
        ValueError: a setting is wrong, or there is no room for scratch copies.
        CannotCure: the script cannot be run, does not train, or the metric is never printed.
    """
    pattern = metrics.compiled(settings.metric) if settings.metric else None
    seconds, runs = budgets.parse(settings.budget)
    known(settings.without)
    if settings.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, not {settings.seeds}")
    size, threads = sized(settings.jobs)
    state = state_folder(program, settings)
    if settings.fresh:
        shutil.rmtree(state)
        state.mkdir()
    hear("copy", 0)
    clear_abandoned(Path(program.folder) / FOLDER)
    with contextlib.ExitStack() as held:
        snapshot = None
        if not settings.in_place:
            snapshot = held.enter_context(Snapshot(Path(program.folder), state / "snapshot"))
        pool = LocalPool(program, state / "jobs", child, snapshot, pattern, size, threads)
        engine = Remembered(pool, state / "journal.jsonl", heard)

        def fit(baseline: Outcome) -> int:
            if not settings.jobs:
                pool.size = _fitting(size, baseline)
            return pool.size

        patient = Patient(settings, engine, Budget(seconds, runs, size), hear, prescribe)
        return patient.cure(snapshot.notes if snapshot is not None else [], fit)


class Patient:
    """One training, whatever engine runs it: the stages after one another."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        budget: Budget,
        hear: Hear = lambda stage, jobs: None,
        prescribe: Callable[[Run, Sequence[Finding]], Prescription] = prescription,
    ) -> None:
        self.settings, self.engine, self.budget = settings, engine, budget
        self.hear, self.prescribe = hear, prescribe
        named = bool(settings.metric)
        self.goal = Goal(named, larger=named and not settings.minimize)
        self.words = settings.metric or "training loss"

    def cure(
        self, notes: Sequence[str] = (), fit: Callable[[Outcome], int] = lambda baseline: 1
    ) -> Cure:
        """Run it as it is, judge it, and treat it; `fit` says how many jobs run side by side."""
        seconds = self.budget.seconds
        baseline = self.untreated(3600.0 if seconds is None else FIRST_SHARE * seconds)
        self.budget.spend(baseline.steps)
        self.budget.size = fit(baseline)
        return self.judge(baseline, notes)

    def untreated(self, limit: float) -> Outcome:
        """The script as it is, watched, to its end if there is time."""
        self.hear("watch", 1)
        job = Job(watch=True, seconds=limit)
        ((_, outcome),) = self.engine.run([job])
        whole = outcome.whole
        if not outcome.steps or not outcome.run:
            raise CannotCure(_why_nothing(outcome))
        self.budget.measured(outcome.seconds, outcome.start, outcome.steps, whole)
        finite = outcome.losses and outcome.losses[-1] == outcome.losses[-1]
        if self.goal.metric and outcome.ended == "finished" and outcome.metric is None and finite:
            raise CannotCure(
                f"--metric {self.settings.metric!r} finds no finite number in what the script "
                f"prints. It ends with:\n{_tail(outcome)}"
            )
        return outcome

    def judge(self, baseline: Outcome, notes: Sequence[str]) -> Cure:
        """The diagnosis, and what follows from it."""
        run = load(baseline.run)
        findings = [f for f in diagnose(run) if f.severity.name != "info"]
        before = estimate([self.goal.of(baseline)]) if baseline.whole else Estimate(None, ())
        named = tuple(f"{f.code} {f.name}" for f in findings)
        if verdict(findings) == "healthy":
            if baseline.ended == "error":
                raise CannotCure(_why_nothing(baseline))
            if run.unjudged:
                raise CannotCure(_why_not_judged(run))
            return Cure(
                "healthy",
                self.words,
                self.goal.larger,
                before=before,
                findings=named,
                trials=(Tried("watch", (), Job(watch=True), baseline),),
                uncontrolled=unique([*notes, *baseline.uncontrolled]),
            )
        found = self.prescribe(run, findings).without(self.settings.without)
        return self._treat(baseline, found, named, notes, decay=not falls(run))

    def _treat(
        self,
        baseline: Outcome,
        found: Prescription,
        findings: tuple[str, ...],
        notes: Sequence[str],
        decay: bool = True,
    ) -> Cure:
        seeds, said = self._seeds(), list[str]()
        search = Search(self.engine, self.budget, self.goal, baseline, self.hear)
        search.companion = not {"clip", "clip=norm"} & set(self.settings.without)
        search.decay = decay and "decay" not in set(self.settings.without)
        search.trials.append(Tried("watch", (), Job(watch=True), baseline))
        short = search.short(0.0)
        finalists = search.run(found.tried, 2 * seeds * self.budget.cost(0))
        result = None
        if not short:
            confirmation = Confirmation(
                self.engine, self.budget, self.goal, baseline, search.trials, self.hear
            )
            result = confirmation.of(finalists, seeds)
        refused = [
            *found.refused,
            *((t.text, t.outcome.error) for t in search.trials if t.outcome.ended == "refused"),
        ]
        common = {
            "goal": self.words,
            "larger": self.goal.larger,
            "trials": tuple(search.trials),
            "refused": tuple(dict.fromkeys(refused)),
            "proposed": found.proposed,
            "findings": findings,
            "uncontrolled": unique([*notes, *uncontrolled(baseline, search.trials)]),
        }
        if result is not None:
            candidate, comparison, before, after = result
            if any(t.stage == "confirm" for t in search.trials):
                if comparison.seeds < self.settings.seeds:
                    said.append(
                        f"the budget of {self.settings.budget} allowed {comparison.seeds} of "
                        f"{self.settings.seeds} seeds"
                    )
            else:
                said.append(
                    f"the budget of {self.settings.budget} left no pair of runs for a proof: "
                    "before and after are of the seed that the treatment was chosen on"
                )
            return Cure(
                "cured" if comparison.proven else "improved",
                chosen=text(candidate),
                before=before,
                after=after,
                comparison=comparison,
                chosen_edits=edits(candidate),
                notes=tuple(said),
                **common,  # type: ignore[arg-type]
            )
        before = estimate([self.goal.of(baseline)]) if baseline.whole else Estimate(None, ())
        if short:
            said.insert(
                0,
                f"the budget of {self.settings.budget} is too small for one treated and one "
                "untreated run of the script's whole length: treatments are ranked by the "
                "training loss after a short horizon only, and nothing is proven",
            )
            best = search.leader()
            return Cure(
                "unproven" if best else "out-of-budget",
                chosen=text(best),
                before=before,
                chosen_edits=edits(best),
                notes=tuple(said),
                **common,  # type: ignore[arg-type]
            )
        missed = _missed(found.tried, search.trials)
        if missed:
            said.append(
                f"the budget of {self.settings.budget} ended before {missed}: give more with "
                "--budget; what was run is kept"
            )
        left = "out-of-budget" if missed else "uncured"
        return Cure(
            "edit" if found.proposed else left,
            before=before,
            notes=tuple(said),
            **common,  # type: ignore[arg-type]
        )

    def _seeds(self) -> int:
        """Pairs of runs to plan the proof for: half of what is left may go on them."""
        return min(self.settings.seeds, int(self.budget.affordable(0) // 4))


def _missed(prescribed: Sequence[Candidate], trials: Sequence[Tried]) -> str:
    """What a search without a result has left undone, in words; "" if nothing."""
    planned = prescribed[:WIDEST]
    tried = {t.candidate for t in trials}
    untried = [c for c in planned if c not in tried]
    if untried:
        return f"{len(untried)} of {len(planned)} treatments could run"
    whole = any(t.candidate and not t.job.steps for t in trials)
    return "" if whole or not planned else "any treatment could run over the script's whole length"


def falls(run: Run) -> bool:
    """Does the script let its own learning rate fall? Then another fall is one too many."""
    column = run.step("lr")
    rate = [] if column is None else [x for x in column.tolist() if math.isfinite(x)]
    return len(rate) > 2 and rate[-1] < 0.5 * max(rate)


def state_folder(program: Program, settings: Settings) -> Path:
    """Of this script as it is today, with these arguments; made, and hidden from git."""
    folder = Path(program.folder)
    name = Path(program.target).stem if not program.module else program.target.rpartition(".")[2]
    digest = hashlib.sha256()
    asked = (program.target, program.args, program.module, settings.metric, settings.in_place)
    digest.update(
        repr((*asked, sys.version, version("evenflow"), os.environ.get("OMP_NUM_THREADS"))).encode()
    )
    scripts = _scripts(folder)
    target = folder / program.target
    if target.is_file() and target not in scripts:
        scripts.append(target)
    for script in sorted(scripts):
        digest.update(str(script).encode() + script.read_bytes())
    state = folder / FOLDER / f"{name}-{digest.hexdigest()[:10]}"
    state.mkdir(parents=True, exist_ok=True)
    ignore = folder / FOLDER / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return state


def _scripts(folder: Path, most: int = 2000) -> list[Path]:
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [d for d in folders if d not in LEFT_OUT and d != "__pycache__"]
        found += [Path(root) / f for f in files if f.endswith(".py")]
        if len(found) > most:
            break
    return found[:most]


def sized(jobs: int) -> tuple[int, int]:
    """(processes side by side, threads of each) for this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    size = jobs or cores or 1
    return size, max(1, (cores or 1) // size)


def _fitting(size: int, baseline: Outcome) -> int:
    """No more than memory holds; one at a time where an accelerator is shared."""
    if baseline.device not in ("", "cpu"):
        return 1
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return size
    return max(1, min(size, int(free // (1.3 * baseline.memory)))) if baseline.memory else size


def _why_nothing(outcome: Outcome) -> str:
    if outcome.ended in ("time", "killed"):
        return (
            f"no update was seen within {outcome.seconds:.0f} s"
            f"{': ' + outcome.error if outcome.error else ''}. Its output ends with:\n"
            f"{_tail(outcome)}"
        )
    if outcome.ended == "error":
        return f"the script failed ({outcome.error}). Its output ends with:\n{_tail(outcome)}"
    return "the script ran and no training step was seen in its process: there is nothing to treat"


def _why_not_judged(run: Run) -> str:
    more = ""
    if run.unjudged == "few-samples":
        more = (
            " (These are options of `evenflow run`; on a machine less busy, `evenflow cure "
            "--fresh` may see more.)"
        )
    return f"the untreated run was not judged. {headline(run, ())[1]}{more}"


def _tail(outcome: Outcome, lines: int = 8) -> str:
    try:
        text = Path(outcome.output).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "  (nothing)"
    last = [f"  {line[:300]}" for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(last) or "  (nothing)"
