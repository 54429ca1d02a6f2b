"""What classifier and regressor share: data in, a network trained, scores out."""

from __future__ import annotations

import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor
from torch.func import functional_call

from . import threads
from .asking import Table, bold, calmed
from .healing import Born, born
from .loop import Course, Data, Plan, train_
from .network import Shape
from .planning import planned, tested
from .record import Applied, FitReport
from .reviving import Mortal
from .rows import looked_at, split
from .scaling import WILD, scaling
from .settling import Settled, asks, auto_told, settle
from .stepping import Update
from .targets import Array, Classes, Numbers

#: Rows of one piece in prediction.
PIECE = 8192
Targets = Classes | Numbers


class Network(BaseEstimator, ABC):  # type: ignore[misc]
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
        self.hidden = hidden
        self.depth = depth
        self.activation = activation
        self.init = init
        self.norm = norm
        self.residual = residual
        self.dropout = dropout
        self.alpha_dropout = alpha_dropout
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.warmup = warmup
        self.momentum = momentum
        self.l1 = l1
        self.l2 = l2
        self.clip = clip
        self.scale = scale
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.epochs = epochs
        self.validation = validation
        self.patience = patience
        self.error_below = error_below
        self.gradient_below = gradient_below
        self.max_seconds = max_seconds
        self.dtype = dtype
        self.device = device
        self.random_state = random_state
        self.heal = heal
        self.warm_start = warm_start
        self.verbose = verbose

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
        """By what validation rows are chosen evenly."""
        return None

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

    def _scores(self, X: object, exact: bool = True) -> Array:
        """The network's outputs for rows X, [N, O]; dropout off.

        `exact` computes in float64: the sums of float32 depend on how many rows there are.
        """
        check_is_fitted(self, "network_")
        x = self.scaling_.apply(validate_data(self, X, reset=False, dtype=np.float64))
        like: Tensor = next(self.network_.parameters())
        exact = exact and like.device.type != "mps"
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

    # -- one training ---------------------------------------------------------------------------

    def _train(
        self, X: object, given: object, weight: object, keep: bool, one_epoch: bool, told: object
    ) -> Any:
        began = time.monotonic()
        x_NC, y = self._read(X, given, first=not keep)
        w_N = None
        if weight is not None:
            w_N = _check_sample_weight(weight, x_NC, dtype=np.float64, ensure_non_negative=True)
            x_NC, y, w_N = (a[w_N > 0] for a in (x_NC, y, w_N))
        options = self.get_params(deep=False)
        settled = settle(options, len(x_NC), bold=keep and self._bold)
        targets = self.targets_ if keep else self._targets(y, told)
        t = targets.encode(y)
        if t.ndim != (1 if isinstance(targets, Classes) and targets.kind == "one" else 2) or (
            t.ndim == 2 and t.shape[1] != len(getattr(targets, "classes", None) or t[0])
        ):
            raise ValueError(f"y of shape {y.shape} does not match the targets known from before.")
        seeds = check_random_state(self.random_state)
        seed = int(seeds.randint(np.iinfo(np.int32).max))
        calm: list[Applied] = []
        if not keep:
            ask = asks(options) and not one_epoch
            table = Table(x_NC, y, w_N, targets, seed)
            self._bold = ask and bold(self, table)
            settled = settle(options, len(x_NC), bold=self._bold)
            if self.heal and not one_epoch:
                settled, calm = calmed(self, settled, table)
            self.targets_ = targets
            self.scaling_ = scaling(x_NC, self.scale)
            if w_N is not None:
                w_N = w_N / w_N.mean()
        data, valid = split(self.scaling_.apply(x_NC), t, w_N, self._strata(t), settled, seeds)
        plan = planned(settled, targets, data, self.loss, self.heal, one_epoch)
        widths = (data.x.shape[1], *settled.hidden, targets.outputs)
        with (
            torch.random.fork_rng(devices=_devices(settled.device)),
            threads.few(widths, settled.batch),
        ):
            torch.manual_seed(seed)
            applied: list[Applied] = []
            findings: tuple[Any, ...] = ()
            if not keep:
                newborn = self._born(settled, targets, data, seed)
                self.network_, findings = newborn.net, newborn.findings
                self.shape_ = newborn.shape
                applied = [*self._tamed(x_NC), *calm, *newborn.applied]
            params = [p for p in self.network_.parameters() if p.requires_grad]
            if not keep or not one_epoch or not hasattr(self, "_update"):
                self._update = Update(settled.optimizing, params)
                if not one_epoch:
                    plan, lowered = tested(plan, settled, self.network_, data)
                    applied += lowered
            course = self._run(plan, settled, data, valid, seed)
            applied += course.applied
            if not one_epoch and self.heal and not keep and _unlearned(course, plan):
                course, findings = self._again(
                    plan, settled, targets, data, valid, seed, course, findings, applied
                )
        if not one_epoch:
            del self._update  # moments are partial_fit's alone
        self.n_iter_ = course.epochs if not (one_epoch and keep) else self.n_iter_ + 1
        self.n_outputs_ = _columns(targets)
        self.fit_report_ = FitReport(
            stopped=course.stopped,
            epochs=course.epochs,
            steps=course.steps,
            best_epoch=course.best_epoch,
            seconds=time.monotonic() - began,
            errors=tuple(course.errors),
            held_out=tuple(course.held_out),
            rates=tuple(course.rates),
            baseline=plan.baseline,
            findings=findings,
            treatments=tuple(applied),
            settings=auto_told(settled, self.shape_, plan),
        )
        if self.heal and not one_epoch and _unlearned(course, plan):
            warnings.warn(
                f"the network learned nothing that a constant prediction does not know "
                f"(loss {min(course.errors, default=math.nan):.4g}, constant {plan.baseline:.4g}); "
                "see fit_report_.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _tamed(self, x_NC: Array) -> list[Applied]:
        """What is said of numbers so far out that they are not read as measurements."""
        wild = self.scaling_.wild(x_NC)
        if not wild.any():
            return []
        names = getattr(self, "feature_names_in_", np.arange(len(wild)))
        worst = ", ".join(f"{n} in column {c}" for c, n in zip(names, wild, strict=True) if n)
        why = f"EF502: over {WILD:g} deviations from the middle of their column: {worst}"
        return [Applied("wild=middle", 0, why)]

    def _born(
        self, settled: Settled, targets: Targets, data: Data, seed: int, **changed: Any
    ) -> Born:
        shape = Shape(
            inputs=data.x.shape[1],
            outputs=targets.outputs,
            hidden=settled.hidden,
            activations=settled.activations,
            norm=settled.norm,
            residual=settled.residual,
            dropout=settled.dropout,
            alpha_dropout=settled.alpha_dropout,
        )
        init = changed.pop("init", settled.init)
        look = looked_at(data.x, seed)
        return born(replace(shape, **changed), init, look, settled.dtype, seed, self.heal)

    def _run(
        self, plan: Plan, settled: Settled, data: Data, valid: Data | None, seed: int
    ) -> Course:
        params = [p for p in self.network_.parameters() if p.requires_grad]
        return train_(
            self.network_,
            data,
            valid,
            plan,
            self._update,
            torch.Generator().manual_seed(seed),
            restart=lambda: Update(settled.optimizing, params),
            mortal=Mortal.of(self.network_, self.shape_) if self.heal else None,
            tell=lambda epoch, course: self._progress(epoch, plan.stop.epochs, course),
        )

    def _again(
        self,
        plan: Plan,
        settled: Settled,
        targets: Targets,
        data: Data,
        valid: Data | None,
        seed: int,
        course: Course,
        findings: tuple[Any, ...],
        applied: list[Applied],
    ) -> tuple[Course, tuple[Any, ...]]:
        """A second training, from the start that most depths survive; kept if it is better."""
        old, shape = self.network_, self.shape_
        newborn = self._born(settled, targets, data, seed + 1, init="auto", residual="rezero")
        self.network_, self.shape_ = newborn.net, newborn.shape
        self._update = Update(settled.optimizing, list(newborn.net.parameters()))
        second = self._run(replace(plan, rate=plan.rate * 0.1), settled, data, valid, seed + 1)
        if _best(second) < _best(course):
            applied += [
                Applied(
                    "rezero; lr=*0.1",
                    0,
                    f"EF401: the first training ended at a loss of {_best(course):.3g}, no better "
                    f"than the best constant's {plan.baseline:.3g}; trained anew",
                ),
                *second.applied,
            ]
            return second, newborn.findings
        self.network_, self.shape_ = old, shape
        return course, findings

    def _progress(self, epoch: int, epochs: int, course: Course) -> None:
        if callable(self.verbose):
            self.verbose(epoch, epochs)
        elif self.verbose:
            judged = course.held_out or course.errors
            print(f"epoch {epoch}: loss {judged[-1]:.5g}" if judged else f"epoch {epoch}")


def _best(course: Course) -> float:
    return min((e for e in course.held_out or course.errors if math.isfinite(e)), default=math.inf)


def _unlearned(course: Course, plan: Plan) -> bool:
    """Did the training error stay at the best constant's? A baseline of 0 cannot be beaten."""
    if not plan.baseline > 1e-9 or plan.stop.epochs == 0 or course.steps < 50:
        return False
    return min((e for e in course.errors if math.isfinite(e)), default=math.inf) > (
        0.999 * plan.baseline
    )


def _columns(targets: Targets) -> int:
    return len(targets.classes) if isinstance(targets, Classes) else targets.outputs


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
