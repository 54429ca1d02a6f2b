"""What classifier and regressor share: data in, a network trained, scores out."""

from __future__ import annotations

import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor, nn
from torch.func import functional_call

from ..schema import Finding
from . import threads
from .asking import AskedRows, bold, calmed
from .building import Born, born
from .dormant import Mortal
from .loop import train_
from .network import NetworkShape
from .outcome import Applied, FitReport, History
from .planning import Data, TrainingPlan, auto_told, looked_at, planned, split, tested
from .scaling import WILD, Scaling, scaling
from .settling import Settled, asks, settle
from .stepping import Updater
from .targets import Array, Classes, Targets

#: Rows of one piece in prediction.
PIECE = 8192


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What one training is made of."""

    settled: Settled
    outputs: int
    plan: TrainingPlan
    data: Data
    valid: Data | None
    seed: int


class NetworkEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """A feed-forward network with scikit-learn's manners; see its two final classes."""

    def __init__(
        self,
        *,
        hidden: object = "auto",
        depth: int | None = None,
        activation: str | Sequence[str] = "auto",
        init: str | Callable[..., object] = "auto",
        norm: str = "none",
        residual: str = "auto",
        dropout: float = 0.0,
        alpha_dropout: bool = False,
        loss: str | Callable[..., Any] = "auto",
        optimizer: str = "auto",
        learning_rate: float | str = "auto",
        schedule: str | Callable[[int], float] = "auto",
        warmup: float | str = "auto",
        momentum: float = 0.9,
        l1: float = 0.0,
        l2: float | str = "auto",
        clip: str = "auto",
        scale: str = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        epochs: int | str = "auto",
        validation: float | str = "auto",
        patience: int | str | None = "auto",
        error_below: float | None = None,
        gradient_below: float | None = None,
        max_seconds: float | None = None,
        dtype: str = "float32",
        device: str = "cpu",
        random_state: Any = None,
        heal: bool = True,
        warm_start: bool = False,
        verbose: Any = False,
    ) -> None:
        self._keep(locals())

    def _keep(self, given: dict[str, Any]) -> None:
        """Every parameter as an attribute of its name, as scikit-learn wants it."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    loss: Any
    random_state: Any
    heal: bool
    scale: str
    warm_start: bool
    verbose: Any
    network_: nn.Sequential
    shape_: NetworkShape
    scaling_: Scaling
    fit_report_: FitReport
    targets_: Targets
    n_iter_: int
    _bold = False  # did the table say that its weights may grow?

    # -- what the two kinds differ in ---------------------------------------------------------

    @abstractmethod
    def _read(self, X: object, y: object, first: bool) -> tuple[Array, Array]:
        """X [N, C] in float64 and y as given, both checked."""

    @abstractmethod
    def _targets(self, y: Array, told: object) -> Targets:
        """What is to be predicted, as numbers the loss works on."""

    def _strata(self, t: Array) -> Array | None:
        """Labels that validation rows are stratified by; None for none."""
        return None

    # -- in a notebook ------------------------------------------------------------------------

    def _repr_html_inner(self) -> str:
        return self._below(super()._repr_html_inner())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        out: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in out:
            out["text/html"] = self._below(out["text/html"])
        return out

    def _below(self, diagram: str) -> str:
        """The diagram with what is known of the fit."""
        report = getattr(self, "fit_report_", None)
        return diagram if report is None else diagram + report._repr_html_()

    # -- scikit-learn's verbs -----------------------------------------------------------------

    def fit(self, X: object, y: object, sample_weight: object = None) -> Any:
        """Train on rows X [N, C] and targets y [N] or [N, H].

        Args:
            X: numbers, finite; a data frame's column names are kept and asked for later.
            y: targets.
            sample_weight: one weight a row, 0 or more; a row of weight 0 is left out.

        Returns:
            self, with `fit_report_`, `network_`, `n_iter_`, `n_features_in_`.

        Raises:
            ValueError: data or a parameter make no sense; the message names it.
        """
        again = self.warm_start and hasattr(self, "network_")
        return self._train(X, y, sample_weight, keep=again, one_epoch=False, told=None)

    def _partial(self, X: object, y: object, sample_weight: object, told: object) -> Any:
        return self._train(
            X, y, sample_weight, keep=hasattr(self, "network_"), one_epoch=True, told=told
        )

    def _scores(self, X: object) -> Array:
        """The network's outputs for rows X, [N, O]; dropout off, in float64 where the device has
        it: the sums of float32 depend on how many rows there are."""
        check_is_fitted(self, "network_")
        x = self.scaling_.apply(validate_data(self, X, reset=False, dtype=np.float64))
        like: Tensor = next(self.network_.parameters())
        exact = like.device.type != "mps"
        params = {
            name: t.double() if exact and t.is_floating_point() else t
            for name, t in self.network_.state_dict().items()
        }
        like = like.double() if exact else like
        with torch.no_grad():
            parts = [
                functional_call(self.network_, params, torch.from_numpy(piece).to(like)).cpu()
                for piece in np.array_split(x, math.ceil(len(x) / PIECE))
            ]
        found: Array = torch.cat(parts).numpy()
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    # -- one training ---------------------------------------------------------------------------

    def _train(
        self, X: object, given: object, weight: object, keep: bool, one_epoch: bool, told: object
    ) -> Any:
        began = time.monotonic()
        x_NC, y, w_N = self._rows(X, given, weight, first=not keep)
        options = self.get_params(deep=False)
        settled = settle(options, len(x_NC), bold=keep and self._bold)
        targets = self.targets_ if keep else self._targets(y, told)
        t = _encoded(targets, y)
        seeds = check_random_state(self.random_state)
        seed = int(seeds.randint(np.iinfo(np.int32).max))
        applied: list[Applied] = []
        if not keep:
            sample = AskedRows(x_NC, y, w_N, targets, seed)
            self._bold = asks(options) and not one_epoch and bold(self, sample)
            settled = settle(options, len(x_NC), bold=self._bold)
            calm: list[Applied] = []
            if self.heal and not one_epoch:
                settled, calm = calmed(self, settled, sample)
            self.targets_, self.scaling_ = targets, scaling(x_NC, self.scale)
            applied += [*self._tamed(x_NC), *calm]
            if w_N is not None:
                w_N = w_N / w_N.mean()
        data, valid = split(self.scaling_.apply(x_NC), t, w_N, self._strata(t), settled, seeds)
        plan = planned(settled, targets, data, self.loss, self.heal, one_epoch)
        widths = (data.x.shape[1], *settled.hidden, targets.outputs)
        cuda = [settled.device] if settled.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), threads.few(widths, settled.batch):
            torch.manual_seed(seed)
            job = TrainingJob(settled, targets.outputs, plan, data, valid, seed)
            plan, history, findings = self._trained(job, keep, one_epoch, applied)
        self.n_iter_ = history.epochs if not (one_epoch and keep) else self.n_iter_ + 1
        self.n_outputs_ = len(targets.classes) if isinstance(targets, Classes) else targets.outputs
        self.fit_report_ = history.report(
            seconds=time.monotonic() - began,
            baseline=plan.baseline,
            findings=findings,
            treatments=tuple(applied),
            settings=auto_told(settled, self.shape_, plan),
        )
        if self.heal and not one_epoch and history.unlearned(plan.baseline):
            warnings.warn(
                f"the network learned nothing that a constant prediction does not know "
                f"(loss {min(history.errors, default=math.nan):.4g}, constant "
                f"{plan.baseline:.4g}); see fit_report_.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _rows(
        self, X: object, given: object, weight: object, first: bool
    ) -> tuple[Array, Array, Array | None]:
        """Inputs, targets and weights, checked; rows of weight 0 left out."""
        x_NC, y = self._read(X, given, first)
        if weight is None:
            return x_NC, y, None
        w_N = _check_sample_weight(weight, x_NC, dtype=np.float64, ensure_non_negative=True)
        return x_NC[w_N > 0], y[w_N > 0], w_N[w_N > 0]

    def _tamed(self, x_NC: Array) -> list[Applied]:
        """A note on numbers so far out that they are not read as measurements."""
        wild = self.scaling_.wild(x_NC)
        if not wild.any():
            return []
        names = getattr(self, "feature_names_in_", np.arange(len(wild)))
        worst = ", ".join(f"{n} in column {c}" for c, n in zip(names, wild, strict=True) if n)
        why = f"EF502: over {WILD:g} deviations from the middle of their column: {worst}"
        return [Applied("wild=middle", 0, why)]

    def _trained(
        self, job: TrainingJob, keep: bool, one_epoch: bool, applied: list[Applied]
    ) -> tuple[TrainingPlan, History, tuple[Finding, ...]]:
        """Train the network, made anew unless it is to be kept: the plan with its rate, how it
        went, and what was seen at the start. What was changed goes into `applied`."""
        findings: tuple[Finding, ...] = ()
        if not keep:
            newborn = self._born(job, job.seed)
            findings = newborn.findings
            applied += newborn.applied
        if not keep or not one_epoch or not hasattr(self, "_update"):
            self._update = self._updater(job)
            if not one_epoch:
                plan, lowered = tested(job.plan, job.settled, self.network_, job.data)
                job = replace(job, plan=plan)
                applied += lowered
        history = self._run(job)
        applied += history.applied
        if not one_epoch:
            if self.heal and not keep and history.unlearned(job.plan.baseline):
                history, findings = self._again(job, history, findings, applied)
            del self._update  # moments are partial_fit's alone
        return job.plan, history, findings

    def _born(self, job: TrainingJob, seed: int, **changed: Any) -> Born:
        """Make a new network with its start; it becomes this estimator's."""
        shape = job.settled.shape(job.data.x.shape[1], job.outputs)
        init = changed.pop("init", job.settled.init)
        look = looked_at(job.data.x, seed)
        newborn = born(replace(shape, **changed), init, look, job.settled.dtype, seed, self.heal)
        self.network_, self.shape_ = newborn.net, newborn.shape
        return newborn

    def _updater(self, job: TrainingJob) -> Updater:
        params = [p for p in self.network_.parameters() if p.requires_grad]
        return Updater(job.settled.optimizing, params)

    def _run(self, job: TrainingJob) -> History:
        return train_(
            self.network_,
            job.data,
            job.valid,
            job.plan,
            self._update,
            torch.Generator().manual_seed(job.seed),
            mortal=Mortal.of(self.network_, self.shape_) if self.heal else None,
            tell=lambda epoch, history: self._progress(epoch, job.plan.stop.epochs, history),
        )

    def _again(
        self,
        job: TrainingJob,
        first: History,
        findings: tuple[Finding, ...],
        applied: list[Applied],
    ) -> tuple[History, tuple[Finding, ...]]:
        """A second training, from the start that most depths survive; kept if it is better."""
        old, shape, plan = self.network_, self.shape_, job.plan
        newborn = self._born(job, job.seed + 1, init="auto", residual="rezero")
        self._update = self._updater(job)
        slower = replace(plan, rate=plan.rate * 0.1)
        second = self._run(replace(job, plan=slower, seed=job.seed + 1))
        if second.least < first.least:
            why = (
                f"EF401: the first training ended at a loss of {first.least:.3g}, no better than "
                f"the best constant's {plan.baseline:.3g}; trained anew"
            )
            applied += [Applied("rezero; lr=*0.1", 0, why), *second.applied]
            return second, newborn.findings
        self.network_, self.shape_ = old, shape
        return first, findings

    def _progress(self, epoch: int, epochs: int, history: History) -> None:
        if callable(self.verbose):
            self.verbose(epoch, epochs)
        elif self.verbose:
            judged = history.held_out or history.errors
            print(f"epoch {epoch}: loss {judged[-1]:.5g}" if judged else f"epoch {epoch}")


def _encoded(targets: Targets, y: Array) -> Array:
    """The targets as numbers; ValueError for other columns than there were before."""
    t = targets.encode(y)
    if t.ndim != (1 if isinstance(targets, Classes) and targets.kind == "one" else 2) or (
        t.ndim == 2 and t.shape[1] != len(getattr(targets, "classes", None) or t[0])
    ):
        raise ValueError(f"y of shape {y.shape} does not match the targets known from before.")
    return t
