"""Where a script's loop is entered: module calls, the engine, optimizers. In a process that is
thrown away: nothing is ever put back, and torch's compiler is off (`TORCHDYNAMO_DISABLE`).

    root(x) ---- enter ---> [forward] ---- left --->  loss ... backward ----> step ---- stepped

One `Role` hears of all of it; a fork takes another one.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _len_torch_function_stack
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode

from .operands import Operands


class Role:
    """What a process does in the script's loop. By itself: nothing."""

    def enter(self, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """An outermost module with something to train is called; what it is to be given."""
        return args, kwargs

    def left(self, root: nn.Module, outputs: Any) -> None:
        """It has returned."""

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        """The engine is about to run from these (at their true scale)."""

    def backwarded(self) -> None:
        """It has run."""

    def stepping(self, optimizer: Optimizer) -> None:
        """An optimizer is about to step."""

    def stepped(self, optimizer: Optimizer) -> None:
        """It has stepped."""

    def ended(self, error: BaseException | None) -> None:
        """The script is over."""


class Doors:
    """Hung when torch has been imported.

    Attributes:
        role: who hears.
        operands: the data that meet the graph outside of modules (once `mode` was called).
        optimizers: the living ones, in the order they were made.
    """

    def __init__(self) -> None:
        self.role = Role()
        self.operands = Operands()
        self._optimizers: list[weakref.ref[Optimizer]] = []
        self._depth = 0
        self._scaled: dict[int, tuple[Tensor, Tensor]] = {}
        self._modules()
        self._engine()
        self._steps()
        _loaders()

    @property
    def optimizers(self) -> list[Optimizer]:
        return [o for ref in self._optimizers if (o := ref()) is not None]

    def quietly(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """A call of ours, which no door hears."""
        depth, paused = self._depth, self.operands.paused
        self._depth, self.operands.paused = 1, True
        try:
            return call(*args, **kwargs)
        finally:
            self._depth, self.operands.paused = depth, paused

    def _modules(self) -> None:
        call: Any = nn.Module.__call__

        def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            # a loss is a module, too: without parameters it is none of these
            if self._depth or next(module.parameters(), None) is None:
                return call(module, *args, **kwargs)
            root = torch.is_grad_enabled() and any([p.requires_grad for p in module.parameters()])
            if root:
                args, kwargs = self.role.enter(module, args, kwargs)
            self._depth, self.operands.inside = 1, True
            try:
                outputs = call(module, *args, **kwargs)
            finally:
                self._depth, self.operands.inside = 0, False
            if root:
                self.role.left(module, outputs)
            return outputs

        _put(nn.Module, "__call__", called)

    def _engine(self) -> None:
        run = torch.autograd.graph._engine_run_backward
        scale = torch.amp.GradScaler.scale

        def scaled(scaler: Any, outputs: Any) -> Any:
            result = scale(scaler, outputs)
            if isinstance(outputs, Tensor):
                self._scaled[id(result)] = result, outputs
            return result

        def engine(outputs: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._depth:
                roots = tuple([self._scaled.get(id(t), (t, t))[1] for t in outputs])
                self._scaled.clear()
                self.role.backward(roots)
            result = run(outputs, *args, **kwargs)
            if not self._depth:
                self.role.backwarded()
            return result

        _put(torch.amp.GradScaler, "scale", scaled)
        _put(torch.autograd, "_engine_run_backward", engine)
        _put(torch.autograd.graph, "_engine_run_backward", engine)

    def _steps(self) -> None:
        init: Any = Optimizer.__init__

        @functools.wraps(init)
        def made(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            init(optimizer, *args, **kwargs)
            self._optimizers.append(weakref.ref(optimizer))

        _put(Optimizer, "__init__", made)

        def before(optimizer: Any, *_: Any) -> None:
            if not self._depth:
                self.role.stepping(optimizer)

        def after(optimizer: Any, *_: Any) -> None:
            if not self._depth:
                self.role.stepped(optimizer)

        register_optimizer_step_pre_hook(before)
        register_optimizer_step_post_hook(after)


def put_below(mode: TorchFunctionMode) -> None:
    """Put a function mode below those that are open, which the script closes in their order.
    `tape.take_off` takes it off, wherever it lies then."""
    above: list[Any] = []
    while _len_torch_function_stack() > 0:
        above.append(_pop_mode())  # type: ignore[no-untyped-call]
    for each in (mode, *reversed(above)):
        _push_mode(each)  # type: ignore[no-untyped-call]


def _loaders() -> None:
    """Without workers: a fork has none of them."""
    from torch.utils.data import DataLoader

    init: Any = DataLoader.__init__

    @functools.wraps(init)
    def made(loader: Any, *args: Any, **kwargs: Any) -> None:
        args = (*args[:5], 0, *args[6:]) if len(args) > 5 else args
        for name in ("num_workers", "prefetch_factor", "persistent_workers", "timeout"):
            kwargs.pop(name, None)
        init(loader, *args, **kwargs)

    _put(DataLoader, "__init__", made)


def _put(owner: Any, name: str, new: Any) -> None:
    setattr(owner, name, new)
