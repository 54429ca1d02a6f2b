"""Treatments put into a script that knows nothing of them.

script imports torch           the door is hung (`nn.Module.__call__`), optimizers are noted
first training forward         of each outermost module that has something to train:
                               its treatments are applied, before it runs and with its batch
an optimizer is made later     it is told of (`Undo.attach`), and the door is hung again: cross
                               validation makes a new model and a new optimizer for each fold
every optimizer is served      the door is taken off: nothing of ours stays in the loop but
                               what the treatments themselves put there
"""

from __future__ import annotations

import contextlib
import functools
import random
import sys
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from ..network import unwrap
from ..tape import watch_calls
from .copies import Copies, follow

#: After so many updates since the latest treatment the door is taken off in any case: a parameter
#: that no treated module holds (a loss with a weight of its own) never will be.
_UPDATES = 3
#: On every module below a treated one, in its `__dict__`: a deep copy carries it, and with it the
#: treatments, so it must not be treated again.
_MARK = "_evenflow_treated"


class Injection:
    """Waits for the script's models. `apply` is `evenflow.treat_`, `text` its treatments.

    `alone(call, *args)` runs a call unseen by an open watch. `refused(error)` is called when the
    first module cannot be treated (ValueError); later ones that cannot are noted and left alone.
    An empty text applies nothing, and is waited for all the same: `applied` tells of it.
    """

    def __init__(
        self,
        text: str,
        apply: Callable[..., Any],
        *,
        alone: Callable[..., Any] | None = None,
        refused: Callable[[ValueError], None],
    ) -> None:
        self.text, self._apply = text, apply
        self._alone = alone or (lambda call, *args: call(*args))
        self._refused = refused
        self.applied = 0
        self.notes: list[str] = []
        self.devices: set[str] = set()
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._roots: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._undos: deque[tuple[nn.Module, Any]] = deque(maxlen=8)  # of models met lately
        self._busy = False
        self._updates = 0
        self._take_off: Callable[[], None] | None = None
        self._eager = False
        self._copies = Copies()
        self._patches = contextlib.ExitStack()
        self._begin()

    def knows(self, optimizer: Optimizer) -> bool:
        """Is it the script's own? One that a treatment puts in its place steps within its step."""
        return optimizer in self._optimizers

    def remove(self) -> None:
        """Take everything off; what treatments have put into models stays."""
        self._unhang()
        if self._eager:
            self._eager = False
            torch.compiler.set_stance("default")
        self._patches.close()

    # -- the door -----------------------------------------------------------------------------
    def _begin(self) -> None:
        init: Any = Optimizer.__init__

        @functools.wraps(init)
        def made(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            init(optimizer, *args, **kwargs)
            self._made(optimizer)

        self._replace(Optimizer, "__init__", made)
        compile: Any = torch.compile

        @functools.wraps(compile)
        def compiled(*args: Any, **kwargs: Any) -> Any:
            result = compile(*args, **kwargs)
            self._wait_eagerly()
            return result

        self._replace(torch, "compile", compiled)
        hook = register_optimizer_step_post_hook(_undisturbed(self._stepped))
        self._patches.callback(hook.remove)
        self._hang()

    def _replace(self, owner: Any, name: str, new: Any) -> None:
        self._patches.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, new)

    def _hang(self) -> None:
        self._updates = 0
        if self._take_off is None:
            self._take_off = watch_calls(self)
            self._copies.watch()

    def _unhang(self) -> None:
        if self._take_off is not None:
            self._take_off()
            self._take_off = None
            self._copies.unwatch()

    def _wait_eagerly(self) -> None:
        """A compiled step runs eagerly until its model has been treated: then it is compiled.

        The stance is put back where the next compiled call asks for it: in the midst of a call
        it would be missed that nothing was compiled, and `fullgraph` takes that for an error.
        """
        frames: Any = sys.modules.get("torch._dynamo.eval_frame")
        if self._eager or self._take_off is None or not hasattr(frames, "_callback_from_stance"):
            return
        self._eager = True
        torch.compiler.set_stance("force_eager")
        choose: Any = frames._callback_from_stance

        def chosen(callback: Any) -> Any:
            if self._eager and self._take_off is None:
                self._eager = False
                torch.compiler.set_stance("default")
                if frames._callback_from_stance is chosen:
                    frames._callback_from_stance = choose
            return choose(callback)

        frames._callback_from_stance = chosen

    def _made(self, optimizer: Optimizer) -> None:
        if _by_a_treatment():
            return
        self._optimizers.add(optimizer)
        for model, undo in self._undos:
            if _shares(model, optimizer):
                undo.attach(optimizer)
        if not self._all_served():
            self._hang()

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._take_off is None:
            return
        self._updates += 1
        if self._updates >= _UPDATES and self.applied:
            self._unhang()

    # -- tape.Door ----------------------------------------------------------------------------
    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is called; the outermost call comes first."""
        if self._take_off is None or self._busy or not torch.is_grad_enabled():
            return
        if not module.training or _MARK in module.__dict__:
            return
        root = unwrap(module)
        if _MARK in root.__dict__ or not any(p.requires_grad for p in root.parameters()):
            return
        self._busy = True
        try:
            self._treat(root, (args, kwargs))
        finally:
            self._busy = False
        if self._all_served():
            self._unhang()

    def leave(self, module: nn.Module, args: tuple[Any, ...], token: Any) -> None:
        """The call has ended."""

    def _treat(self, root: nn.Module, batch: tuple[Any, dict[str, Any]]) -> None:
        if any(_MARK in m.__dict__ for m in root.modules()):
            self.notes.append(
                f"a part of {type(root).__name__} had been trained by itself before and was "
                "treated then; the whole was not treated again"
            )
        else:
            self.devices |= {p.device.type for p in root.parameters()}
            mine = [o for o in self._optimizers if _shares(root, o)]
            try:
                with _same_random(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # ours, not the script's
                    self._alone(self._apply_to, root, mine, batch)
            except ValueError as error:
                if not self.applied:
                    self._refused(error)
                self.notes.append(f"{type(root).__name__} was left as it is: {error}")
        for module in root.modules():
            module.__dict__[_MARK] = self.text
        self._roots.add(root)
        for copy in self._copies.of(root):
            # A moving average or a target network made before the first step: it follows. One
            # that is trained itself is treated at its own first forward.
            if not any(_shares(copy, o) for o in self._optimizers):
                follow(copy, root)

    def _apply_to(self, root: nn.Module, mine: list[Optimizer], batch: Any) -> None:
        if self.text:
            # Nobody will undo it: no copy of the weights is kept.
            undo = self._apply(root, mine, self.text, batch, keep=False)
            self._undos.append((root, undo))
        self.applied += 1

    def _all_served(self) -> bool:
        """Does a treated module hold a parameter of each optimizer?"""
        return bool(self._optimizers) and all(
            any(_shares(root, o) for root in self._roots) for o in self._optimizers
        )


@contextlib.contextmanager
def _same_random() -> Iterator[None]:
    """The default random streams are afterwards as they were: the data order must not change."""
    numpy = sys.modules.get("numpy")
    python, cpu = random.getstate(), torch.get_rng_state()
    arrays = numpy.random.get_state() if numpy is not None else None
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        random.setstate(python)
        torch.set_rng_state(cpu)
        if numpy is not None:
            numpy.random.set_state(arrays)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def _shares(module: nn.Module, optimizer: Optimizer) -> bool:
    held = {id(p) for g in optimizer.param_groups for p in g["params"]}
    return any(id(p) in held for p in module.parameters())


def _by_a_treatment() -> bool:
    """Is the optimizer that is being made a treatment's own (another one in the script's place)?"""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("evenflow.treatments."):
            return True
        frame = frame.f_back
    return False


def _undisturbed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Not to be traced by torch.compile, where a whole training step is compiled."""

    def hook(*args: Any) -> None:
        function(*args)

    hook._torchdynamo_disable = True  # type: ignore[attr-defined]
    return hook
