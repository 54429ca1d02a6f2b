"""`evenflow.checkup`: the bench in this process, deep copies of a model and its optimizer."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer as hooks_of
from torch.utils._pytree import tree_flatten_with_path, tree_leaves, tree_map

from ..forecast import same_random, unwatched
from ..network import unwrap
from .bench import Change, Trace
from .changing import portion, samples, widened
from .conducting import conduct
from .instrument import Instrument
from .result import Checkup

#: Keyword arguments of a model that are the targets of a loss it works out itself.
_LABELS = ("labels", "label_ids", "targets", "target", "y")
#: What all runs of the gradient's test may take of the budget, and how many there are at most.
SHARE, MOST_RUNS = 0.3, 400


def checkup(
    model: nn.Module,
    batch: Any,
    loss_fn: Callable[..., Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    *,
    seconds: float = 60.0,
) -> Checkup:
    """Is the training wired right? Nine experiments on one batch, before hours are spent.

    Nothing changes: all runs are made on deep copies of the model and the optimizer, and random
    states are kept. Each experiment passes, fails, does not apply, or could not be judged.

    Args:
        model: as it will be trained; in training mode, as `preflight` takes it, too.
        batch: (inputs, targets), as the training has them: the loss is loss_fn(output, targets).
            Inputs are a tensor, a tuple of arguments or a dict of keyword arguments. A batch that
            is a dict is the model's keyword arguments, and the loss is loss_fn(output).
        loss_fn: a function or a module; not one that holds the model itself.
        optimizer: over the model's parameters, as it will be used. Without one nothing is said of
            the script's rate, and Adam takes its place.
        seconds: after so many no further experiment begins.

    Returns:
        A `Checkup`: `.verdict`, `.tested` (each with status, evidence and advice), `.failed`,
        `.treatments` (first candidates of a cure), `.as_json()`, `.text()`.

    Raises:
        ValueError: the model cannot be called so, cannot be copied, or its loss is not a scalar
            that a gradient flows from.

    >>> import torch, evenflow
    >>> torch.manual_seed(0) and None
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    >>> x = torch.randn(32, 8)
    >>> batch = x, x[:, 0]  # (32,): the model puts out (32, 1)
    >>> found = evenflow.checkup(model, batch, lambda out, y: ((out - y) ** 2).mean())
    >>> found.verdict, [t.name for t in found.failed]
    ('sick', ['data'])
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if not callable(loss_fn):
        raise ValueError(f"loss_fn must be callable, not {type(loss_fn).__name__}")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(
            f"optimizer must be a torch.optim.Optimizer, not {type(optimizer).__name__}"
        )
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, not {seconds!r}")
    bench = InProcess(unwrap(model), batch, loss_fn, optimizer, seconds)
    bench.first()
    return conduct(bench, type(model).__name__, seconds)


class InProcess:
    """A bench of deep copies; every step sees the one batch there is."""

    streams = False

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        loss_fn: Callable[..., Tensor],
        optimizer: torch.optim.Optimizer | None,
        seconds: float,
    ) -> None:
        self.model, self.loss_fn, self.optimizer = model, loss_fn, optimizer
        self.inputs, self.targets, self.paired = _parted(batch)
        self.seconds = seconds
        self.most_runs = 8
        held = tree_leaves((list(model.parameters()), list(model.buffers()), self.inputs))
        self._devices = {t.device for t in held if isinstance(t, Tensor)}

    def first(self) -> None:
        """One step as it stands: whatever is wrong with the call is said before anything is tried.

        Raises:
            ValueError: the model cannot be called so.
        """
        began = time.monotonic()
        try:
            self._run(Instrument(Change(), 1))
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(
                f"one training step of {type(self.model).__name__} on this batch failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        step = max(time.monotonic() - began, 1e-4)
        self.most_runs = max(8, min(MOST_RUNS, int(SHARE * self.seconds / step)))

    def run(self, change: Change, steps: int, wants: Collection[str] = ()) -> Trace:
        """See `Bench.run`."""
        instrument = Instrument(change, steps, wants)
        try:
            self._run(instrument)
        except Exception as error:
            return instrument.trace("error", f"{type(error).__name__}: {error}"[:300])
        return instrument.trace()

    def _run(self, instrument: Instrument) -> None:
        change = instrument.change
        model, optimizer, loss_fn = self._copies()
        with _alone(), same_random(self._devices, 0), torch.enable_grad():
            try:
                instrument.begin(model, [] if self.optimizer is None else [optimizer])
                inputs, targets = self._batch(change)
                instrument.targets(targets)
                if not self.paired:
                    instrument.kept = _places(inputs)
                while not instrument.done:
                    optimizer.zero_grad()
                    loss = self._loss(instrument, model, loss_fn, inputs, targets)
                    instrument.losing(loss)
                    if not instrument.steps:
                        return
                    loss.backward()  # type: ignore[no-untyped-call]
                    instrument.stepping()
                    _step(optimizer, loss)
                    instrument.updated()
            finally:
                instrument.close()

    def _copies(self) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        memo: dict[int, Any] = {}
        try:
            with torch.no_grad():
                model = copy.deepcopy(self.model, memo)
                loss_fn = self.loss_fn
                if isinstance(loss_fn, nn.Module):
                    loss_fn = copy.deepcopy(loss_fn, memo)
                if self.optimizer is not None:
                    optimizer = copy.deepcopy(self.optimizer, memo)
                    for name, value in vars(self.optimizer).items():
                        # LBFGS keeps its list beside its state. A scheduler's wrapper around `step`
                        # would step the original.
                        if name not in vars(optimizer) and not callable(value):
                            setattr(optimizer, name, copy.deepcopy(value, memo))
        except Exception as error:
            raise ValueError(
                f"{type(self.model).__name__} cannot be copied, and a check-up works on copies: "
                f"{error}"
            ) from error
        for p in model.parameters():
            p.grad = None
        if not model.training:  # a part may be in evaluation on purpose (frozen batch norms)
            model.train()
        if self.optimizer is None:
            trained = [p for p in model.parameters() if p.requires_grad]
            if not trained:
                raise ValueError("the model has no parameter that requires a gradient")
            optimizer = torch.optim.Adam(trained, lr=1e-3)
        return model, optimizer, loss_fn

    def _batch(self, change: Change) -> tuple[Any, Any]:
        """Copies: a network may write into its input."""
        both = tree_map(
            lambda t: t.detach().clone() if isinstance(t, Tensor) else t,
            (self.inputs, self.targets),
        )
        if change.part != (0, 1):
            both = portion(both, *change.part)
        inputs, targets = both
        return inputs, widened(targets) if change.double else targets

    def _loss(
        self, instrument: Instrument, model: nn.Module, loss_fn: Any, inputs: Any, targets: Any
    ) -> Tensor:
        args, kwargs = instrument.entering(*inputs)
        with instrument.listening:
            output = model(*args, **kwargs)
            instrument.left(output)
            loss = loss_fn(output, targets) if self.paired else loss_fn(output)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shape = list(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"loss_fn must return a tensor of one element, not {shape}")
        if not loss.requires_grad:
            raise ValueError("no gradient flows from the loss: nothing it is made of requires one")
        return loss


def _parted(batch: Any) -> tuple[Any, Any, bool]:
    """((args, kwargs), targets, whether there are targets)."""
    if isinstance(batch, Mapping):
        if not samples(dict(batch)):
            raise ValueError("the batch holds no tensor")
        return ((), dict(batch)), None, False
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        what = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
        raise ValueError(
            f"batch must be (inputs, targets) or a dict of the model's arguments, not {what}"
        )
    inputs, targets = batch
    if not samples(inputs):
        raise ValueError("the batch's inputs hold no tensor with samples")
    if isinstance(inputs, Mapping):
        return ((), dict(inputs)), targets, True
    args = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    return (args, {}), targets, True


def _places(inputs: Any) -> frozenset[int]:
    """Where the targets lie among the leaves of (args, kwargs)."""
    paths, _ = tree_flatten_with_path(inputs)
    names = [str(getattr(path[1], "key", "")) if len(path) > 1 else "" for path, _leaf in paths]
    return frozenset(i for i, name in enumerate(names) if name in _LABELS)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step; an optimizer that asks for a closure gets the loss that is known."""
    try:
        optimizer.step()
    except TypeError:
        optimizer.step(lambda: float(loss.detach()))


@contextmanager
def _alone() -> Iterator[None]:
    """An open watch hears of neither forwards, backwards nor steps made here."""

    def engine(outputs: Any, *more: Any, **named: Any) -> Any:
        run = torch.autograd.Variable._execution_engine.run_backward
        return run(outputs, *more, **named)

    tables: tuple[Any, ...] = (
        hooks_of._global_optimizer_pre_hooks,
        hooks_of._global_optimizer_post_hooks,
    )
    kept = [dict(table) for table in tables]
    for table in tables:
        table.clear()
    try:
        with unwatched(engine):
            yield
    finally:
        for table, old in zip(tables, kept, strict=True):
            table.clear()
            table.update(old)
