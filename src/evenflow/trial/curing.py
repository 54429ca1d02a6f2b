"""The way in: from a script to a proven treatment, in scratch copies of its folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..patching import CannotPatch
from ..schema import Finding, Run
from ..script import Program
from . import budget as budgets
from . import metric as metrics
from .budget import TrialBudget
from .cure_file import keep_cure
from .cure_run import CureRun, OnStage
from .engine import CHILD, LocalPool, OnOutcome, Remembered
from .job import Outcome
from .patch_proof import PatchProver
from .prescribing import Prescription, known, prescription
from .record import Cure, PatchProof
from .scratch import FolderSnapshot, clear_abandoned
from .settings import FOLDER, Settings, state_folder


def cure(
    script: str | os.PathLike[str],
    args: Sequence[str] = (),
    *,
    module: bool = False,
    metric: str = "",
    minimize: bool = False,
    seeds: int = 3,
    budget: str = "10m",
    jobs: int = 0,
    in_place: bool = False,
    without: Sequence[str] = (),
) -> Cure:
    """Find a treatment for a training script by trials, and prove it over seeds.

    The script is run as `python SCRIPT ARGS` in the current folder, in scratch copies of it. What
    was tried is kept in `evenflow-runs`, for `evenflow ui`.

    Args:
        script: path of a script (or a module's name, with `module`).
        args: its arguments.
        metric: regular expression with one group; its last match in what the script prints counts.
            Without one the training loss counts.
        minimize: smaller values of the metric are better.
        seeds: pairs of runs, with and without the treatment, that prove it.
        budget: wall time ("10m", "90s", "1.5h"), or run-equivalents ("12x").
        jobs: processes side by side; 0 sizes them to the machine.
        in_place: without scratch copies.
        without: kinds of treatments not to try ("norm", "rezero"), or single ones ("init=he").

    Returns:
        What was found; `verdict` says how it stands, `chosen` is the treatments' text.

    Raises:
        ValueError: a wrong setting.
        CannotCure: the script cannot be run, or does not train.

    >>> import os, pathlib, tempfile, evenflow
    >>> os.chdir(tempfile.mkdtemp())  # a folder of its own: cure copies the current one
    >>> _ = pathlib.Path("train.py").write_text(
    ...     "import torch\\n"
    ...     "model = torch.nn.Linear(1, 1)\\n"
    ...     "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\\n"
    ...     "for _ in range(9):\\n"
    ...     "    optimizer.zero_grad()\\n"
    ...     "    model(torch.ones(8, 1)).square().mean().backward()\\n"
    ...     "    optimizer.step()\\n"
    ... )
    >>> found = evenflow.cure("train.py", budget="2x", jobs=1)
    >>> found.verdict, found.chosen
    ('healthy', '')
    """
    program = Program(str(script), str(Path.cwd()), tuple(args), module)
    chosen = Settings(metric, minimize, seeds, budget, jobs, in_place, without=tuple(without))
    found = conduct(program, chosen)
    try:
        keep_cure(program, chosen, found)
    except OSError as error:
        warnings.warn(f"evenflow: the cure was not kept ({error})", stacklevel=2)
    return found


def conduct(
    program: Program,
    settings: Settings,
    child: Sequence[str] = CHILD,
    *,
    on_stage: OnStage = lambda stage, jobs: None,
    on_outcome: OnOutcome = lambda job, outcome, remembered: None,
    prescribe: Callable[[Run, Sequence[Finding]], Prescription] = prescription,
) -> Cure:
    """Find and prove a treatment for a script. `child` is the command that runs one job.

    `on_stage` hears of each stage and how many jobs it has, `on_outcome` of each job's outcome and
    whether it was remembered. Interrupted and asked again, it goes on where it was: every finished
    run is in the journal.

    Raises:
        ValueError: a setting is wrong, or there is no room for scratch copies.
        CannotCure: the script cannot be run, does not train, or the metric is never printed.
    """
    pattern = metrics.compiled(settings.metric) if settings.metric else None
    seconds, runs = budgets.parse(settings.budget)
    known(settings.without)
    Prescription(()).led_by(settings.first)  # each text names a treatment
    if settings.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, not {settings.seeds}")
    size, threads = sized(settings.jobs)
    state = state_folder(program, settings)
    if settings.fresh:
        shutil.rmtree(state)
        state.mkdir()
    on_stage("copy", 0)
    clear_abandoned(Path(program.folder) / FOLDER)
    with contextlib.ExitStack() as held:
        snapshot = None
        if not settings.in_place:
            snapshot = held.enter_context(FolderSnapshot(Path(program.folder), state / "snapshot"))
        pool = LocalPool(program, state / "jobs", child, snapshot, pattern, size, threads)
        engine = Remembered(pool, state / "journal.jsonl", on_outcome)

        def fit(baseline: Outcome) -> int:
            if not settings.jobs:
                pool.size = _fitting(size, baseline)
            return pool.size

        budget = TrialBudget(seconds, runs, size)
        cure_run = CureRun(settings, engine, budget, on_stage, prescribe)
        found = cure_run.cure(snapshot.notes if snapshot is not None else [], fit)
        if settings.patch and (found.chosen or found.proposed):
            on_stage("patch", 0)
            if snapshot is None:  # the edited text never stands in the user's folder unproven
                snapshot = held.enter_context(
                    FolderSnapshot(Path(program.folder), state / "snapshot")
                )
            prover = PatchProver(program, snapshot, pool, cure_run.goal, on_outcome)
            found = replace(found, patch=_patched(prover, found))
        return found


def _patched(prover: PatchProver, found: Cure) -> PatchProof | str:
    """The proof of the patch, or why there is none."""
    try:
        return prover.of(found)
    except CannotPatch as why:
        return str(why)


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
