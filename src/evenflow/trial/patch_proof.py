"""The chosen treatment written into the script, and the proof that the text does what was tried.

    survey   one run in a scratch copy, to the first updates: which line makes what
    edit     `patching.patched`, of the sources as they were when the trials began
    proof    the patched script in scratch copies, without treatments, on the seeds of the proof

With a metric nothing of Evenflow is in those runs but the seeds (`bare`); the training loss is read
by a watch, which changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..lang import _
from ..patching import CannotPatch, KnownTraining, Patch, known_training
from ..script import Program
from .engine import CHILD, LocalPool, OnOutcome, Remembered
from .goal import CureGoal, Tried
from .job import Job, Outcome
from .record import Cure, PatchProof
from .score import better
from .scratch import FolderSnapshot, entries

#: What runs a survey, and a patched script.
SURVEY = (*CHILD[:-1], "evenflow.trial.survey")
BARE = (*CHILD[:-1], "evenflow.trial.bare")
#: Means that differ by less than so much of the treatment's gain are of the same worth.
SLACK = 0.1
#: So many seconds at most until the first updates of a survey.
SURVEYED = 600.0


@dataclass(slots=True)
class PatchedSnapshot:
    """A snapshot whose copies hold other texts of some files."""

    snapshot: FolderSnapshot
    texts: dict[str, bytes]

    def copy(self, where: Path) -> Path:
        """A scratch copy with them."""
        root = self.snapshot.copy(where)
        for name, raw in self.texts.items():
            (root / name).unlink()
            (root / name).write_bytes(raw)
        return root

    def damaged(self) -> list[str]:
        """As `FolderSnapshot.damaged`."""
        return self.snapshot.damaged()


class PatchProver:
    """Makes the patch of a cure and proves it, by the engine that ran the trials."""

    def __init__(
        self,
        program: Program,
        snapshot: FolderSnapshot,
        pool: LocalPool,
        goal: CureGoal,
        on_outcome: OnOutcome,
    ) -> None:
        self.program, self.snapshot, self.pool, self.goal = program, snapshot, pool, goal
        self.on_outcome = on_outcome

    def of(self, cure: Cure) -> PatchProof:
        """The proof for what was chosen.

        Raises:
            CannotPatch: the script cannot be read or edited; the message says why.
        """
        from ..patching import patched

        # where no treatment helped, what could only be proposed: the text itself is the trial
        courses = [cure.chosen] if cure.chosen else [e.treatment for e in cure.proposed]
        known = self._known(cure.chosen)
        sources = self._sources(known)
        found = [patched(sources, course, known) for course in courses]
        patch = next((p for p in found if p.after), found[0])
        if not patch.after:
            return PatchProof(patch, why=_("no line of the script could be edited."))
        return self._proven(patch, cure)

    def _known(self, course: str) -> KnownTraining:
        """What a run to the first updates shows."""
        folder = self.pool.folder.with_name("survey")
        pool = replace(self.pool, child=SURVEY, folder=folder, snapshot=self.snapshot, pattern=None)
        ((job, outcome),) = pool.run([Job(course, steps=1, seconds=SURVEYED)])
        try:
            told = json.loads((folder / job.key / "survey.json").read_text(encoding="utf-8"))
            return known_training(told)
        except (OSError, ValueError, KeyError, TypeError):
            said = _("the script's first updates were not seen again ({error}).")
            raise CannotPatch(said.format(error=outcome.error or outcome.ended)) from None

    def _sources(self, known: KnownTraining) -> dict[str, bytes]:
        """The script's own files that the training was seen in, as they were snapshot."""
        where = self.snapshot.where
        names = {target_file(self.program)} | set(spotted(known))
        found = {}
        for path in entries(where, None):
            name = path.relative_to(where).as_posix()
            if name in names and path.is_file():
                found[name] = path.read_bytes()
        if not found:
            said = _("{target} lies outside the folder that the command was given in.")
            raise CannotPatch(said.format(target=repr(self.program.target)))
        return found

    def _proven(self, patch: Patch, cure: Cure) -> PatchProof:
        tried = treated_runs(cure) if cure.chosen else untreated_runs(cure)
        seeds = tuple(sorted(tried))
        if not seeds:
            said = _("no treated run of the whole length is there to compare with.")
            return PatchProof(patch, why=said)
        digest = hashlib.sha256(patch.diff).hexdigest()[:10]
        folder = self.pool.folder.with_name(f"patched-{digest}")
        child = BARE if self.goal.metric else CHILD
        snapshot = PatchedSnapshot(self.snapshot, patch.after)
        pool = replace(self.pool, child=child, folder=folder, snapshot=snapshot)
        engine = Remembered(pool, folder.with_suffix(".jsonl"), self.on_outcome)
        longest = max((tried[s].seconds for s in seeds), default=0.0)
        jobs = [Job(seed=s, seconds=60.0 + 3 * longest) for s in seeds]
        ran = {job.seed: outcome for job, outcome in engine.run(jobs)}
        old = [self.goal.of(tried[s]) for s in seeds]
        new = [self.goal.of(ran[s]) for s in seeds]
        shutil.rmtree(folder, ignore_errors=True)
        exact = bool(cure.chosen) and old == new and None not in old
        if cure.chosen:
            offered, why = judged(old, new, cure.before.per_seed, self.goal.larger, patch.whole)
        else:
            offered = all(better(b, a, self.goal.larger) for a, b in zip(old, new, strict=True))
            why = _("it was compared with the script as it is: no trial has tried it before.")
            old = [None] * len(old)
        if None in new:
            error = next((ran[s].error for s in seeds if self.goal.of(ran[s]) is None), "")
            why = _("the patched script fails: {error}").format(error=error or _("no number"))
        return PatchProof(patch, seeds, tuple(old), tuple(new), exact, offered, why)


def treated_runs(cure: Cure) -> dict[int, Outcome]:
    """The treated runs of whole length by seed: those of the proof, else what there is."""
    whole = [t for t in cure.trials if t.text == cure.chosen and not t.job.steps]
    proof: list[Tried] = [t for t in whole if t.stage == "confirm"]
    return {t.job.seed: t.outcome for t in proof or whole}


def untreated_runs(cure: Cure) -> dict[int, Outcome]:
    """The runs of whole length without a treatment, by seed."""
    whole = [t for t in cure.trials if not t.candidate and not t.job.steps]
    return {t.job.seed: t.outcome for t in whole}


def judged(
    treated: Sequence[float | None],
    patched: Sequence[float | None],
    untreated: Iterable[float | None],
    larger: bool,
    whole: bool = True,
) -> tuple[bool, str]:
    """Does a patch do what the treatment did? (may it be offered, and the rule in words)

    Equal to the bit on every seed it does. Else its mean may fall short of the treated runs' by no
    more than the noise of the seeds: two standard errors of the difference of two means of so many
    runs, or a tenth of what the treatment gains where that is more; and it must be better than the
    untreated script. One that holds only a part of the course must only be better than untreated.

    >>> from evenflow.trial.patch_proof import judged
    >>> judged([0.9, 0.92], [0.9, 0.92], [0.1, 0.1], True)[0]
    True
    >>> judged([0.9, 0.92], [0.5, 0.5], [0.1, 0.1], True)[0]
    False
    """
    old = [v for v in treated if v is not None]
    new = [v for v in patched if v is not None]
    bare = [v for v in untreated if v is not None]
    if not new or len(new) < len(patched):
        return False, _("it gives no number on some seeds.")
    if old == new and len(old) == len(treated):
        return True, _("equal to the treated runs to the bit.")
    ahead = not bare or better(_mean(new), _mean(bare), larger)
    if not whole:
        return ahead, _("it holds a part of the treatment.")
    if not old:
        return False, _("no treated run of the whole length is there to compare with.")
    sign = 1.0 if larger else -1.0
    short = sign * (_mean(old) - _mean(new))
    gain = sign * (_mean(old) - _mean(bare)) if bare else 0.0
    noise = 2 * math.sqrt((_var(old) + _var(new)) / len(old))
    if ahead and short <= max(noise, SLACK * gain):
        return True, _("equal to the treated runs within the noise of seeds.")
    return False, _("it does not reach what the treated runs did.")


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _var(values: Sequence[float]) -> float:
    middle = _mean(values)
    return math.fsum((v - middle) ** 2 for v in values) / max(1, len(values) - 1)


def target_file(program: Program) -> str:
    """The file of a script or module, relative to the folder."""
    if program.module:
        return program.target.replace(".", "/") + ".py"
    path = Path(program.folder, program.target).resolve()
    folder = Path(program.folder).resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else program.target


def spotted(known: KnownTraining) -> Iterable[str]:
    """Files that models and optimizers were seen in."""
    for root in known.roots:
        yield from (s.file for s in root.made)
        for view in root.views.values():
            for a in view.activations:
                yield from (s.file for s in (a.called, a.made) if s is not None)
            yield from (a.called.file for a in view.attention if a.called is not None)
    for optimizer in known.optimizers:
        yield from (s.file for s in (*optimizer.made, *optimizer.stepped))
    yield from (s.file for s in known.backward)
