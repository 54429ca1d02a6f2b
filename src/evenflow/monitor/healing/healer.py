"""Heal: what is done to a training while it runs, within what the user allowed.

    forward, backward -> before(): measure; then at most one of
        non-finite gradient   leave the update out; three in a row: roll back
        loss diverged         roll back, leave the update out, lower the rate
        outlier gradient      scale it down to the usual norm
        else                  nothing (now and then a snapshot; dead units are looked for)
    -> the optimizer's update -> after()

Measuring changes nothing, so a training without an intervention keeps its weights to the bit.
What is measured: one norm of all gradients and the loss, both read once an update.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...network import unwrap
from ...schema import Intervention
from ...words import healed
from ..guard import Guard
from ..hiding import Hidden
from ..saying import say
from ..watched import WatchedTraining
from .gradients import Pairs, dense, known, norm_of, norm_of_all, scale_, size_of
from .group import FACTORS, LEAST_RATE, OLD, OptimizerGroup, OptimizerHistory
from .grouping import Grouping
from .reviving import SHARE, Reviver
from .snapshot import Buffers, all_buffers
from .surroundings import captured, scaler_skips, several_processes

#: Non-finite gradients on end that no batch explains: the weights do.
ON_END = 3
#: Roll-backs of one training, after which it is left alone.
ROLLBACKS = 10
#: Without roll-back the loss gets so many updates to answer to a lower rate.
PATIENCE = 25
#: Interventions of one kind that are told on stderr; the run file has them all.
_TOLD = 3


class Healer:
    """Acts for one watch. Its errors end the watch as any of ours do (see `Watch._fail`).

    Args:
        kinds: what is allowed, of `schema.HEALS`.
        keep_batch: file to which the first offending batch is saved; None keeps nothing.
    """

    def __init__(self, kinds: Sequence[str], keep_batch: Path | None = None) -> None:
        self.kinds = frozenset(kinds)
        self.guard = Guard("skip", keep_batch)
        self.scaler: Any = None
        self._hidden = Hidden()
        self._buffers = Buffers()
        self.reviver = Reviver() if "revive" in self.kinds else None
        self._told: Counter[str] = Counter()
        self._left_out = False
        self._again = True  # look for buffers anew
        self.left_out = 0  # updates, so far

    def open(self, training: WatchedTraining, guard: Guard | None) -> None:
        """Begin; `guard`: of `on_nonfinite`, if there is one."""
        self._training, self._other_guard = training, guard
        self.grouping = Grouping(training)
        self._registry = training.recorder.registry
        # By then a script may have put other statistics there itself (SWA's update_bn).
        self.guard.at_first = self._keep_buffers
        self.guard.open(training.recorder)
        training.recorder.when_struck.append(self._hidden.give_back)

    def close(self) -> None:
        """Take everything off; what was hidden is given back, rates are the script's."""
        self._hidden.give_back()
        self.guard.close()
        self.grouping.close()

    # -- around an update ---------------------------------------------------------------------
    def before(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        """The gradients are there, the update is not. `closure`: called from within the step."""
        self._hidden.give_back()
        self._left_out = False
        history = self.grouping.history(optimizer, closure)
        if history.refused or captured():
            return
        fresh = self._training.passes.since > 0
        group = self.grouping.group(history, fresh)
        history.attempts += 1
        if fresh:
            group.left_out = False
            group.attempts += 1
        elif group.left_out:  # its round was rolled back: this gradient belongs to other weights
            self._leave_out(group)
            return
        pairs = dense(optimizer)
        guard = self._other_guard
        if not pairs or scaler_skips(optimizer) or (guard is not None and guard.skipped):
            return
        norm = norm_of(optimizer, [g for _, g in pairs])
        if not math.isfinite(norm):
            self._non_finite(optimizer, history, group, norm)
        else:
            self._finite(history, group, norm, pairs, fresh)
        self.guard.held.clear()

    def after(self) -> bool:
        """The optimizer has stepped; was its update left out?"""
        self._hidden.give_back()
        out, self._left_out = self._left_out, False
        return out

    def _finite(
        self,
        history: OptimizerHistory,
        group: OptimizerGroup,
        norm: float,
        pairs: Pairs,
        fresh: bool,
    ) -> None:
        history.bad_on_end = 0
        usual, limit = history.norms.usual, history.norms.limit
        outlier = history.norms.outlier(norm)
        loss = self._loss() if fresh and self.grouping.judges(group) else None
        # One bad batch says nothing of the weights; a second one on end may.
        if loss is not None and not (outlier and history.norms.on_end == 1):
            diverged = group.losses.take(loss) or (group.losses.suspect and group.gone_far())
            if self._other_loss(group, history, loss):
                return
            if self._still_too_fast(group, history):
                return
            if diverged and self._diverged(group, history):
                return
        if outlier:
            group.trouble = group.attempts
            if "clip" in self.kinds:
                self._clip(history, norm, usual, limit, pairs)
            return
        if self._odd_statistics(group, history):
            return
        calm = group.losses.calm if loss is not None else True
        calm &= not (group.rollbacks and group.losses.no_better)
        due = "rollback" in self.kinds and group.due()
        self._again |= due
        if due and calm and group.attempts - group.trouble >= OLD:
            group.snap(self._training.step, all_buffers(self.grouping.roots(group)), self.scaler)
        if self.reviver is not None and self.reviver.wanted:
            self._revive(group, history)

    # -- interventions ------------------------------------------------------------------------
    def _clip(
        self, history: OptimizerHistory, norm: float, usual: float, limit: float, pairs: Pairs
    ) -> None:
        at = max(pairs, key=lambda pair: size_of(pair[1]))[0]
        scale_([g for _, g in pairs], usual / norm)
        self._buffers.put_back()
        self._note(
            history,
            "clip",
            "outlier-gradient",
            site=self._registry.params[self._registry.add_param(at)].name,
            before={"grad_norm": norm},
            after={"grad_norm": usual},
            evidence={"limit": limit, "loss": known(self._loss())},
        )

    def _odd_statistics(self, group: OptimizerGroup, history: OptimizerHistory) -> bool:
        """Did this batch throw running statistics (BatchNorm) far off? Normalisation hides such a
        batch from the gradient, but evaluation would suffer for hundreds of steps."""
        usual, limit = group.statistics.usual, group.statistics.limit
        moved = self._buffers.moved()
        if math.isfinite(moved) and not group.statistics.outlier(moved):
            return False
        group.trouble = group.attempts
        if "clip" in self.kinds:
            self._buffers.put_back()
            self._note(
                history,
                "clip",
                "outlier-statistics",
                before={"moved": moved},
                after={"moved": 0.0},
                evidence={"limit": limit, "usual": usual},
            )
        return True

    def _non_finite(
        self,
        optimizer: torch.optim.Optimizer,
        history: OptimizerHistory,
        group: OptimizerGroup,
        norm: float,
    ) -> None:
        history.bad_on_end += 1
        group.trouble = group.attempts
        origin, bad = None, 0
        if "skip" in self.kinds:
            self.guard.check(self._training, optimizer)
            self.guard.hidden.give_back()  # one place hides: ours
            if self.guard.found is not None:
                origin, names = self.guard.found
                bad = len(names)
        of_data = origin is not None and origin.where == "input"
        if history.bad_on_end >= ON_END and not of_data and self._may_return(group):
            why = "non-finite-on-end"
            self._roll_back(group, history, why, {"on_end": float(history.bad_on_end)})
            return
        if "skip" not in self.kinds:
            return
        self._leave_out(group)
        site = None if origin is None else origin.site
        self._note(
            history,
            "skip",
            "non-finite-gradient",
            site="" if site is None else self._registry.sites[site].name,
            before={"grad_norm": norm},
            after={"grad_norm": 0.0},
            evidence={"parameters": float(bad), "loss": known(self._loss())},
            note="" if origin is None else origin.text,
            tell=False,  # the guard has
        )

    def _diverged(self, group: OptimizerGroup, history: OptimizerHistory) -> bool:
        """Do what is allowed; was the round ended by it?"""
        losses = group.losses
        evidence = {"level": losses.level, "limit": losses.limit, "start": losses.start}
        if self._may_return(group):
            self._roll_back(group, history, "loss-diverged", evidence)
            return True
        if "lr" in self.kinds and group.attempts - group.slowed >= PATIENCE:
            self._slow(group, history, "loss-diverged", FACTORS[0])
        return False

    def _still_too_fast(self, group: OptimizerGroup, history: OptimizerHistory) -> bool:
        """A rate that was too high before may now saturate or kill units without a divergence:
        the loss stays where it began, while the weights go far."""
        if not group.rollbacks or group.attempts - group.returned < 2 * PATIENCE:
            return False
        if not (group.losses.no_better and group.gone_far() and self._may_return(group)):
            return False
        evidence = {"level": group.losses.level, "start": group.losses.start}
        self._roll_back(group, history, "no-better", evidence)
        return True

    def _may_return(self, group: OptimizerGroup) -> bool:
        if "rollback" not in self.kinds or not group.snapshots:
            return False
        if group.rollbacks == ROLLBACKS:
            self._say(f"{ROLLBACKS} roll-backs did not help; no more are made")
            return False
        return True

    def _roll_back(
        self, group: OptimizerGroup, history: OptimizerHistory, why: str, evidence: dict[str, float]
    ) -> None:
        self.guard.save(self._training.step)
        before = {"loss": known(self._loss()), "weight_norm": norm_of_all(group.params())}
        # Before these are noticed a snapshot may have been taken.
        late = why in ("units-killed", "no-better")
        limit = min(group.losses.limit, group.losses.level)
        snapshot = group.go_back(all_buffers(self.grouping.roots(group)), self.scaler, oldest=late)
        group.proving = [limit] if why == "loss-diverged" else []
        self._buffers.forget()
        self._leave_out(group)
        level = group.losses.level
        after = {
            "loss": level if math.isfinite(level) else group.losses.start,
            "weight_norm": norm_of_all(group.params()),
            "from_step": float(snapshot.step),
        }
        self._note(history, "rollback", why, before=before, after=after, evidence=evidence)
        if "lr" in self.kinds:
            self._slow(group, history, why, group.next_factor)

    def _slow(
        self, group: OptimizerGroup, history: OptimizerHistory, why: str, factor: float
    ) -> None:
        """Multiply the rate of the whole group by `factor`, down to the least."""
        group.slowed = group.attempts
        old = history.factor
        new = max(old * factor, LEAST_RATE)
        if new < old:
            self._rate(group, history, why, old, new)

    def _rate(
        self, group: OptimizerGroup, history: OptimizerHistory, why: str, old: float, new: float
    ) -> None:
        for each in group.histories:
            each.slow(new)
        optimizer = history.ref()
        rate = math.nan if optimizer is None else optimizer.param_groups[0].get("lr", math.nan)
        self._note(
            history,
            "lr",
            why,
            before={"lr": float(rate) * old, "factor": old},
            after={"lr": float(rate) * new, "factor": new},
        )

    def _other_loss(self, group: OptimizerGroup, history: OptimizerHistory, loss: float) -> bool:
        """After a roll-back: is the loss as high with the weights that had a low one? Then it is
        the loss that has changed (a term came in, the data are others), and nothing diverged."""
        if not group.proving:
            return False
        group.proving.append(loss)
        limit, *known = group.proving
        if loss <= limit:
            group.proving = []
        elif len(known) >= 2:
            group.proving = []
            group.losses = type(group.losses)()
            if history.factor < 1:
                new = min(1.0, history.factor / group.next_factor)
                self._rate(group, history, "another-loss", history.factor, new)
            return True
        return False

    def _revive(self, group: OptimizerGroup, history: OptimizerHistory) -> None:
        assert self.reviver is not None
        if several_processes():
            self._say("several processes train together, each on other batches: no unit is revived")
            self.reviver.wanted.clear()
            return
        roots = {id(r): r for r in self.grouping.roots(group)}
        held = [h for h in self.guard.held.values() if id(unwrap(h.module)) in roots]
        if not held:
            return
        looks = self._training.alone(self.reviver.look, held, group.attempts)
        if not looks:
            return
        worst = self.reviver.worst(looks)
        if group.rollbacks and worst >= SHARE and self._may_return(group):
            # The rate was too high before, and now it has killed what was alive then.
            self.reviver.rest(group.attempts)
            self._roll_back(group, history, "units-killed", {"dead": worst})
            return
        revived = self.reviver.revive(looks, group.optimizers, group.attempts)
        again = any([layer.times > 1 for layer in revived])
        for layer in revived:
            self._note(
                history,
                "revive",
                "dead-units",
                site=layer.name,
                before={"dead": layer.share, "units": float(layer.units)},
                after={"dead": 0.0, "units": 0.0},
                evidence={"batches": float(layer.batches)},
            )
        if revived and self.reviver.tired:
            self._say("units die again after every revival; no more are made")
        if "lr" in self.kinds and (again or (revived and group.rollbacks)):
            self._slow(group, history, "died-again" if again else "killed", FACTORS[0])

    def _keep_buffers(self) -> None:
        """A round's first forward begins."""
        self._buffers.keep(self.grouping.roots(None), self._again)
        self._again = False

    # -- the rest -----------------------------------------------------------------------------
    def _leave_out(self, group: OptimizerGroup) -> None:
        self._hidden.take(group.params())
        self._buffers.put_back()
        self._left_out = group.left_out = True
        self.left_out += 1

    def _loss(self) -> float | None:
        loss = self._training.losses.latest
        return None if loss is None else float(loss)

    def _say(self, text: str) -> None:
        self._training.flush.note(self._training.step, f"heal: {text}")

    def _note(
        self, history: OptimizerHistory, kind: str, reason: str, *, tell: bool = True, **what: Any
    ) -> None:
        """An intervention was made; `what`: fields of `Intervention`."""
        done = Intervention(
            kind,
            self._training.step,
            reason,
            optimizer=history.index,
            attempt=history.attempts - 1,
            **what,
        )
        self._training.writer.event(done.event())
        self._training.cadence.alert()
        if done.kind == "clip":
            self.guard.save(done.step)
        self._told[done.kind] += 1
        if tell and self._told[done.kind] <= _TOLD:
            say(healed(done))
