"""A cure kept beside the runs: its record as plain JSON, and a run before and after it.

    evenflow-runs/train-cure-20260101-120000.cure.json
    evenflow-runs/train-cure-20260101-120000-before.evenflow    the untreated run, watched
    evenflow-runs/train-cure-20260101-120000-after.evenflow     the treated one on the same seed

Nothing is run for it: the finals of the search are watched, as the untreated run is.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..schema import treatment_text
from ..script import Program
from ..store import FOLDER, SUFFIX, made_folder, stem_of
from ..views import CURE_LARGEST, CURE_SUFFIX
from .goal import CureGoal, Tried
from .job import Outcome, jsonable, thinned
from .record import Cure, Edit, tried_as_json
from .score import Estimate, estimate, loss_at
from .settings import Settings

#: Points of a trial's loss curve, and fewer where many trials leave no room.
POINTS = (120, 40, 10, 0)


def keep_cure(program: Program, settings: Settings, found: Cure) -> Path | None:
    """The record's file in the program's folder; None where nothing was tried.

    Raises:
        OSError: it cannot be written.
    """
    if len(found.trials) < 2:
        return None
    folder = Path(program.folder, FOLDER)
    made_folder(folder)
    path = _free(folder, program)
    try:
        _write(path, program, settings, found)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _write(path: Path, program: Program, settings: Settings, found: Cure) -> None:
    """The runs first, then the record at once: who sees it finds them."""
    name = path.name.removesuffix(CURE_SUFFIX)
    runs = {}
    for which, outcome in (("before", found.trials[0].outcome), ("after", _treated(found))):
        if outcome is not None and outcome.run and Path(outcome.run).is_file():
            runs[which] = f"{name}-{which}"
            _copy(Path(outcome.run), path.with_name(f"{name}-{which}{SUFFIX}"))
    part = path.with_name(f"{name}.part")
    part.write_text(text_of(program, settings, found, runs), encoding="utf-8")
    part.replace(path)


def _free(folder: Path, program: Program) -> Path:
    """A name that no other cure has, taken in the asking."""
    named = program.target.rpartition(".")[2] if program.module else Path(program.target).stem
    base = f"{stem_of(named, 'script')}-cure-{time.strftime('%Y%m%d-%H%M%S')}"
    for n in range(1, 1000):
        path = folder / f"{base}{'' if n == 1 else f'-{n}'}{CURE_SUFFIX}"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{base} has been taken a thousand times")


def _copy(run: Path, to: Path) -> None:
    shutil.copyfile(run, to)
    log = Path(f"{run}-wal")  # of a run that was killed
    if log.is_file():
        shutil.copyfile(log, f"{to}-wal")


def _treated(found: Cure) -> Outcome | None:
    """The watched run of the script's whole length with what was chosen."""
    for t in found.trials:
        if found.chosen and t.text == found.chosen and t.job.watch:
            return t.outcome
    return None


def text_of(program: Program, settings: Settings, found: Cure, runs: dict[str, str]) -> str:
    """The record as JSON of `CURE_LARGEST` bytes at most.

    Of very many trials their curves, and then the last of them, are left out.
    """
    plain = _record(program, settings, found, runs)
    goal = CureGoal(bool(settings.metric), found.larger)
    # proposals stand among the trials, as `--json` has them
    proposals = [t for t in plain["trials"] if t["stage"] == "proposed"]
    for most in POINTS:
        plain["trials"] = [_trial(t, goal, most) for t in found.trials] + proposals
        text = _dumped(plain)
        if len(text) <= CURE_LARGEST:
            return text
    plain["cut"] = True
    while len(text) > CURE_LARGEST and plain["trials"]:
        plain["trials"] = plain["trials"][: len(plain["trials"]) // 2]
        text = _dumped(plain)
    if len(text) > CURE_LARGEST:  # a patch, or sentences, of a megabyte
        raise OSError("its record is larger than a megabyte")
    return text


def _dumped(plain: dict[str, Any]) -> str:
    # ASCII: a name with half a surrogate pair is a name, too
    return json.dumps(jsonable(plain), separators=(",", ":"), allow_nan=False)


def _record(
    program: Program, settings: Settings, found: Cure, runs: dict[str, str]
) -> dict[str, Any]:
    """What `--json` prints, and what the tables on the terminal are made from beside it."""
    told, compared = found.as_json(), found.comparison
    proof = (t for t in found.trials if t.stage == "confirm" and t.text == found.chosen)
    seeds = sorted({t.job.seed for t in proof}) or ([0] if compared else [])
    gain = compared.gain if compared else Estimate(None, ())
    return {
        **told,
        "script": program.target,
        "written": time.time(),
        "goal": found.goal,
        "larger": found.larger,
        "findings": list(found.findings),
        "notes": list(found.notes),
        "line": found.line,
        "before": {**told["before"], **_ends(found.before)},
        "after": {**told["after"], **_ends(found.after)},
        "gain": {"mean": gain.mean, **_ends(gain)},
        "wins": compared.wins if compared else 0,
        "seeds": seeds,
        "edits": [_edit(e) for e in found.chosen_edits],
        "proposed": [_edit(e) for e in found.proposed],
        "arms": _arms(found.trials, CureGoal(bool(settings.metric), found.larger)),
        "runs": runs,
    }


def _ends(of: Estimate) -> dict[str, float | None]:
    return {"low": of.low, "high": of.high}


def _edit(edit: Edit) -> dict[str, str]:
    return {"treatment": edit.treatment, "why": edit.why, "code": edit.code}


def _value(tried: Tried, goal: CureGoal) -> float | None:
    """The goal of a whole run; of a shorter one what is known of it there."""
    if not tried.job.steps:
        return goal.of(tried.outcome)
    return tried.outcome.metric if goal.metric else loss_at(tried.outcome, tried.job.steps)


def _trial(tried: Tried, goal: CureGoal, most: int) -> dict[str, Any]:
    steps, losses = (
        thinned(tried.outcome.loss_steps, tried.outcome.losses, most) if most else ((), ())
    )
    short = [float(f"{v:.5g}") for v in losses]
    return {**tried_as_json(tried), "goal": _value(tried, goal), "curve": [list(steps), short]}


def _arms(trials: Sequence[Tried], goal: CureGoal) -> list[dict[str, Any]]:
    """Runs of one treatment in one stage together: their mean and its interval over the seeds."""
    groups: dict[tuple[str, str, int], list[Tried]] = {}
    for t in trials:
        groups.setdefault((t.stage, treatment_text(t.candidate), t.job.steps), []).append(t)
    out = []
    for (stage, text, horizon), runs in groups.items():
        values = [_value(t, goal) for t in runs]
        told = estimate(values)
        out.append(
            {
                "stage": stage,
                "treatment": text or None,
                "whole": not horizon,
                "seeds": [t.job.seed for t in runs],
                "values": values,
                "mean": told.mean,
                "loss": estimate([loss_at(t.outcome, t.job.steps) for t in runs]).mean,
                **_ends(told),
                "steps": max(t.outcome.steps for t in runs),
                "seconds": round(sum(t.outcome.seconds for t in runs), 2),
                "ended": sorted({t.outcome.ended for t in runs}),
            }
        )
    return out
