"""Calls of modules within a sampled step: which are watched, how they nest, which are a training's.

root module called     a frame, the mode on: every op in it becomes a site with readings
  module called        a frame within: what is made in it has this module's place
root module returned   the mode stays for the loss, until the engine runs
"""

from __future__ import annotations

import weakref
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..network import unwrap
from .forward import ForwardReader
from .frames import Calls, Frame, Span, Thread
from .given import tensors_in
from .isolation import traced, unheard
from .labels import node_of
from .mode import Mode, put_on, take_off
from .probe import Probes
from .registry import Place
from .retrace import Retrace
from .rootcalls import RootCalls
from .sample import Sample


class Sampling(Sample, Protocol):
    """A sampled step, in which a mode may be put on and off."""

    retrace: Retrace

    def begins(self, now: float) -> None: ...
    def settle(self) -> None: ...
    def mode_on(self) -> None: ...
    def mode_off(self) -> None: ...
    def at_data(self) -> bool: ...


_FAST_PATH = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


class ModuleCalls:
    """Of one recorder: the `calling.Door` it puts up while it records.

    `model`, if given, limits the watch to modules of that model.
    """

    def __init__(
        self, recorder: Sampling, forward: ForwardReader, probes: Probes, model: nn.Module | None
    ) -> None:
        self._recorder, self._model = recorder, model
        self._forward, self._probes = forward, probes
        self._calls, self._again, self.roots = Calls(), Calls(), RootCalls()
        self.seen = False  # was any module of the script ever called?
        #: Roots that a backward called anew (a checkpoint's, a reversible network's)
        self._again_called: set[Place] = set()

    def reset(self, follows: bool = False) -> None:
        self._calls.reset()
        self._again.reset()
        self.roots.reset(follows)

    def after_backward(self) -> None:
        self._calls.reset()
        self._again.reset()
        self.roots.again()

    def made(self, place: Place) -> int:
        """How often the forwards that the running backward is of, called a module."""
        return (self._again if self._recorder.recomputing else self._calls).made(place)

    # -- a call begins ------------------------------------------------------------------------
    def enter(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Frame | None:
        rec = self._recorder
        start = perf_counter()
        rec.heard += 1
        rec.begins(start)
        frame = None
        try:
            rec.settle()
            if not rec.recording or rec.bounds.full:
                return None
            with unheard():  # our own arithmetic is none of the script's
                frame = self._enter_call(module, args, kwargs)
        except BaseException as e:
            rec.failed(e, f"entering {type(module).__name__}", "forward")
        rec.cost += perf_counter() - start
        return frame

    def _enter_call(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Frame | None:
        rec = self._recorder
        thread, opened = rec.thread, torch._C._autograd._get_sequence_nr()
        stack = thread.stack
        if stack:
            top = stack[-1]
            place = rec.registry.place(module) or top.place
            frame = Frame(place, 0, opened, top.ignored, module.training, module=module)
        else:
            frame = self._root(thread, module, tensors_in((*args, *kwargs.values())), opened)
            if not rec.recording:  # this call was one too many
                return None
        if (
            thread.mode is not None
            and not thread.mode.paused
            and not module.training
            and isinstance(module, _FAST_PATH)
        ):
            take_off(thread.mode)
            thread.suspended.append((len(stack), thread.mode))
            thread.mode = None
        if not frame.ignored:
            self._count(thread, frame)
            if not stack and (not rec.recomputing or rec.at_data()):
                self._data(frame, args)
        stack.append(frame)
        return frame

    def _root(self, thread: Thread, module: nn.Module, given: list[Tensor], opened: int) -> Frame:
        """The frame of a call, given these tensors, that no other module makes."""
        rec = self._recorder
        wanted = not traced() and self._wanted(module, given)
        frame = Frame(Place("", ""), 0, opened, not wanted, module.training, module=module)
        if frame.ignored:
            if thread.key == rec.home and not rec.recomputing:
                # its gradients come by a call within the backward; what follows it, the loss,
                # is seen from here alone
                frame.leads = module.training and rec.registry.place(module) in self._again_called
                self.roots.passed(rec)
            return frame
        frame.place = rec.registry.add_root(module)
        self.seen |= thread.key == rec.home
        if rec.recomputing:
            self._again_called.add(frame.place)
            frame.mode = Mode(self._forward)
            put_on(frame.mode)
            return frame
        if thread.key == rec.home:
            on_data = not any([node_of(t) is not None for t in given])
            like = (frame.place, module.training, *map(_size, given))
            thread.root = self.roots.begin(like, on_data, self._calls, rec)
            if thread.root is None:
                frame.ignored = frame.muted = True
                rec.mode_off()
                return frame
            inner = unwrap(module)
            thread.root.module, thread.root.training = weakref.ref(inner), inner.training
        rec.mode_on()
        return frame

    def _count(self, thread: Thread, frame: Frame) -> None:
        """Number the call, and note which nodes will be made in it."""
        rec, stack = self._recorder, thread.stack
        calls = self._again if rec.recomputing else self._calls
        if not stack or frame.place != stack[-1].place:
            frame.call = calls.next(frame.place)
            if rec.recomputing and (known := self._calls.made(frame.place)):
                frame.call %= known  # nested checkpoints work the same call out several times
        else:  # a wrapper and what it wraps share a place: one call, one set of counts
            frame.call, frame.counts = stack[-1].call, stack[-1].counts
        frame.span = Span(frame.place, frame.call, frame.opened)
        rec.keep(thread.key, frame.span)

    def _wanted(self, module: nn.Module, given: list[Tensor]) -> bool:
        if not torch.is_grad_enabled():
            return False
        # A frozen-statistics model (eval mode, gradients on) trains all the same; through a frozen
        # one (a perceptual loss) the gradient of what it is given flows.
        frozen = not module.training and not any([p.requires_grad for p in module.parameters()])
        if frozen and not any([node_of(t) is not None for t in given]):
            return False
        registry = self._recorder.registry
        if self._model is None or registry.place(unwrap(module)) is not None:
            return True
        if any([registry.place(m) is not None for m in module.children()]):
            return True  # a piece of it
        return not list(module.parameters()) or any([m is self._model for m in module.modules()])

    def _data(self, frame: Frame, args: tuple[Any, ...]) -> None:
        rec = self._recorder
        prefix = frame.place.root + "."
        for t in [a for a in args if isinstance(a, Tensor)]:
            if (
                t.grad_fn is None
                and rec.registry.param(t) is None
                and any([p.name.startswith(prefix) for p in rec.registry.params])
            ):
                site = self._forward.outside.data(
                    frame.place, t, "input", frame.index("input"), frame.call
                )
                if site is not None:
                    self._forward.note_data(t, site)
                rec.retrace.source(t)

    # -- and ends -----------------------------------------------------------------------------
    def leave(self, module: nn.Module, args: tuple[Any, ...], token: Frame | None) -> None:
        if token is None:
            return
        rec = self._recorder
        start = perf_counter()
        try:
            with unheard():
                self._leave_call(module, args, token)
        except BaseException as e:
            rec.failed(e, f"leaving {type(module).__name__}", "forward")
        rec.cost += perf_counter() - start

    def _leave_call(self, module: nn.Module, args: tuple[Any, ...], frame: Frame) -> None:
        rec = self._recorder
        thread = rec.thread
        stack = thread.stack
        if frame in stack:  # not if the step ended inside this call
            del stack[stack.index(frame) :]
            end = torch._C._autograd._get_sequence_nr()
            if frame.span is not None:
                frame.span.closed = end
                self._probes.see(module, frame, args)
            elif frame.muted:
                self.roots.left_out(frame.opened, end, rec)
        if frame.mode is not None:
            take_off(frame.mode)
        if thread.suspended and thread.suspended[-1][0] == len(stack):
            thread.mode = thread.suspended.pop()[1]
            put_on(thread.mode)
        if not stack:
            self._forward.late()
            if thread.root is not None and not rec.recomputing:
                thread.root.ends(rec.scalars, torch._C._autograd._get_sequence_nr() - frame.opened)
                thread.root = None
            if frame.leads and not traced():
                rec.mode_on()
            if thread.nested:
                rec.mode_off()


def _size(t: Tensor) -> tuple[int, ...] | int:
    """Its shape. A nested tensor has none, or one of its own each time."""
    return t.dim() if t.is_nested else t.shape
