"""Look at one forward: which layers it has, in what order, and what flows into what.

The forward runs without gradients, with dropout off; random state and buffers are put back.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import Parameter
from torch.overrides import TorchFunctionMode

from ...network import (
    ACTIVATIONS,
    ADDITIONS,
    BOUNDED,
    PRODUCTS,
    Op,
    branches,
    by_key,
    depths,
    of_function,
    unrolled,
)

Batch = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(eq=False)
class TracedCall:
    """One torch function of the forward that matters to treatments.

    Attributes:
        index: place in the forward's order.
        op, kind: what was called ("relu", "activation"); see `network.Op`.
        path: of the innermost module call it lies in; `stack` has all of them, outermost first.
        weight, bias: parameters it reads, if it is a layer.
        transposed: `weight` is [in, out] (x @ W) and not [out, in].
        parents: calls whose outputs it reads (views are looked through).
        children: calls that read its output.
        shape: of its output, shapes: of its tensor inputs.
        inside: a checkpointed function lies between it and the module named by `path`.
        form: how an activation was called: (arguments after the first, keyword arguments).
    """

    index: int
    op: str
    kind: str
    path: str
    stack: tuple[str, ...]
    weight: Parameter | None = None
    bias: Parameter | None = None
    transposed: bool = False
    parents: tuple[TracedCall, ...] = ()
    children: list[TracedCall] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    inside: bool = False
    form: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    module: nn.Module | None = None

    @property
    def rows(self) -> int:
        """The dimension of its weight that runs over its outputs."""
        return 1 if self.transposed or "transpose" in self.op else 0

    def nearest(self, kinds: Sequence[str], through: Sequence[str], back: bool) -> list[TracedCall]:
        """The calls of these kinds met first, going back (or on) through calls of `through`."""
        found: list[TracedCall] = []
        todo = list(self.parents if back else self.children)
        seen: set[int] = set()
        while todo:
            c = todo.pop(0)
            if c.index in seen:
                continue
            seen.add(c.index)
            if c.kind in kinds:
                found.append(c)
            elif c.kind in through:
                todo.extend(c.parents if back else c.children)
        return found


class ForwardTrace(TorchFunctionMode):
    """The calls of one forward, in order, with the output of the root."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.calls: list[TracedCall] = []
        self.output: Any = None
        self._names = {id(m): name for name, m in model.named_modules(remove_duplicate=True)}
        self._parameters = {id(p) for p in model.parameters()}
        self._stack: list[nn.Module] = []
        #: Keeps outputs alive: ids stay unique.
        self._made: dict[int, tuple[Tensor, TracedCall]] = {}

    # --- watching ------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        op = of_function(func)
        tensors = list(_tensors(args)) + list(_tensors(kwargs.values()))
        call = self._open(op, args, kwargs, tensors) if op is not None and _matters(op) else None
        out = self._run(func, args, kwargs, call)
        if call is not None:
            call.shape = tuple(out.shape) if isinstance(out, Tensor) else ()
            for t in _tensors((out,)):
                self._made[id(t)] = (t, call)
        else:  # a view, or something of no interest: its output stands for its first known input
            known = next((self._made[id(t)][1] for t in tensors if id(t) in self._made), None)
            if known is not None:
                for t in _tensors((out,)):
                    self._made.setdefault(id(t), (t, known))
        return out

    def _run(self, func: Any, args: Any, kwargs: Any, call: TracedCall | None) -> Any:
        return func(*args, **kwargs)

    def _open(self, op: Op, args: Any, kwargs: Any, tensors: list[Tensor]) -> TracedCall:
        name, kind = op
        place = self._stack[-1] if self._stack else None
        made = [self._made[id(t)][1] for t in tensors if id(t) in self._made]
        call = TracedCall(
            index=len(self.calls),
            op=name,
            kind=kind,
            path=self._names.get(id(place), "") if place is not None else "",
            stack=tuple(self._names.get(id(m), "") for m in self._stack),
            parents=tuple(dict.fromkeys(made)),
            shapes=tuple(tuple(t.shape) for t in tensors),
            form=(tuple(args[1:]), dict(kwargs)) if kind == "activation" else ((), {}),
            module=place,
        )
        own = [t for t in tensors if id(t) in self._parameters and isinstance(t, Parameter)]
        if kind in ("affine", "matmul"):
            heavy = [t for t in own if t.dim() >= 2]
            if heavy:
                call.kind, call.weight = "affine", heavy[0]
                call.bias = next((t for t in own if t.dim() == 1), None)
                call.transposed = kind == "matmul" and name not in _MATRIX_FIRST
            elif kind == "affine":
                call.kind = "other"  # a layer whose weight is computed: nothing to overwrite
        if kind == "activation":
            call.inside = _checkpointed()
        for parent in call.parents:
            parent.children.append(call)
        self.calls.append(call)
        return call

    def _enter(self, module: nn.Module, args: Any) -> None:
        if id(module) in self._names:
            self._stack.append(module)

    def _leave(self, module: nn.Module, args: Any, out: Any) -> None:
        if id(module) in self._names and self._stack:
            self._stack.pop()

    # --- reading -------------------------------------------------------------------------------

    @property
    def layers(self) -> list[TracedCall]:
        """Calls with a weight, each weight once, in forward order."""
        return [calls[0] for calls in self._uses]

    @property
    def hidden(self) -> list[TracedCall]:
        """Layers with another layer after them."""
        below = self.before_layers
        return [c for c in self.layers if c.index in below]

    @property
    def before_layers(self) -> set[int]:
        """Indices of calls from whose output a layer is reached."""
        found: set[int] = set()
        for c in reversed(self.calls):
            if any(k.weight is not None or k.index in found for k in c.children):
                found.add(c.index)
        return found

    @property
    def activations(self) -> list[TracedCall]:
        """Hidden non-linearities: between two layers, and no gate (a bounded factor)."""
        below = self.before_layers
        return [
            c
            for c in self.calls
            if c.kind == "activation"
            and c.index in below
            and c.nearest(("affine", "recurrent"), _LET_THROUGH, back=True)
            and not (
                c.op in BOUNDED and any(k.op in PRODUCTS and len(k.parents) > 1 for k in c.children)
            )
        ]

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path."""
        return self.longest(self._heavy)

    def longest(self, counted: Sequence[bool]) -> int:
        """How many of the calls that are `counted` lie on the longest path."""
        return max(depths(self._links, list(map(int, counted))), default=0)

    @property
    def cells(self) -> list[TracedCall]:
        """The first call of each layer that is a cell unrolled by hand."""
        uses = [[c.index for c in calls] for calls in self._uses]
        return [self.calls[ids[0]] for ids in unrolled(self._links, uses)]

    @property
    def branches(self) -> list[TracedCall]:
        """Of each x + f(x): the call that gives f(x)."""
        often = {c.index for calls in self._uses if len(calls) > 1 for c in calls}
        once = [c.weight is not None and c.index not in often for c in self.calls]
        additions = [c.index for c in self.calls if c.op in ADDITIONS]
        found = branches(self._links, self._heavy, once, additions)
        return [self.calls[far] for _, far in found]

    @property
    def _links(self) -> list[list[int]]:
        return [[p.index for p in c.parents] for c in self.calls]

    @property
    def _heavy(self) -> list[bool]:
        """Whether each call is a layer with weights; attention's own are not seen."""
        opaque = "multi_head_attention_forward"
        return [c.weight is not None or c.kind == "recurrent" or c.op == opaque for c in self.calls]

    @property
    def _uses(self) -> list[list[TracedCall]]:
        """The calls of each weight, in order."""
        heavy = (c for c in self.calls if c.weight is not None)
        return list(by_key(heavy, lambda c: id(c.weight)).values())


def _matters(op: Op) -> bool:
    """Whether treatments ask for it; the rest is looked through."""
    return op.name in ACTIVATIONS or op.kind not in ("activation", "view", "other", "loss")


#: Products whose matrix is [out, in], as a linear layer's.
_MATRIX_FIRST = ("mv", "addmv", "inner")
_LET_THROUGH = ("norm", "dropout", "pool", "view", "join", "activation", "other")


@contextmanager
def unharmed(model: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, nothing compiled; random state and buffers as before."""
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    droppers = [m for m in model.modules() if "Dropout" in type(m).__name__ and m.training]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        for m in droppers:
            m.training = False
        try:
            with torch.compiler.set_stance("force_eager"):
                yield
        finally:
            for m in droppers:
                m.training = True
            for b, value in buffers:
                b.copy_(value)


def trace_forward(model: nn.Module, batch: Batch, mode: ForwardTrace | None = None) -> ForwardTrace:
    """Run the batch through the model once and return what was seen.

    ValueError if the forward raises: the batch does not fit, or the network was treated wrongly.
    """
    mode = mode or ForwardTrace(model)
    args, kwargs = batch
    before = nn.modules.module.register_module_forward_pre_hook(mode._enter)
    after = nn.modules.module.register_module_forward_hook(mode._leave, always_call=True)
    try:
        with unharmed(model), warnings.catch_warnings(), mode:
            warnings.simplefilter("ignore")  # checkpointing warns that nothing needs gradients
            mode.output = model(*args, **kwargs)
    except Exception as e:
        shapes = [tuple(t.shape) for t in _tensors((*args, *kwargs.values()))]
        raise ValueError(
            f"a forward with the batch of shapes {shapes} failed: {type(e).__name__}: {e}"
        ) from e
    finally:
        before.remove()
        after.remove()
    mode._made.clear()
    return mode


def as_batch(batch: Any) -> Batch | None:
    """(args, kwargs) from a tensor, a tuple of arguments, or (args, kwargs) itself."""
    if batch is None:
        return None
    args, kwargs = batch, dict[str, Any]()
    if isinstance(batch, tuple) and len(batch) == 2 and isinstance(batch[1], dict):
        args, kwargs = batch[0], dict(batch[1])
    return tuple(args) if isinstance(args, (tuple, list)) else (args,), kwargs


def _tensors(values: Any) -> Iterator[Tensor]:
    for v in values:
        if isinstance(v, Tensor):
            yield v
        elif isinstance(v, (tuple, list, dict)):
            yield from _tensors(v.values() if isinstance(v, dict) else v)


def _checkpointed() -> bool:
    """Whether torch's checkpoint lies nearer on the stack than the call of a module."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.endswith("checkpoint.py") and "torch" in code.co_filename:
            return True
        if code.co_name == "_call_impl":
            return False
        frame = frame.f_back
    return False
