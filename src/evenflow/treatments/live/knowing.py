"""Look at a model as each treatment of a course finds it, for the edit that does the same."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ...network import unwrap
from ..base import Parsed
from ..known import KnownActivation, KnownAttention, KnownInput, KnownLayer, KnownModel, Spot
from .attend import attention_weights
from .context import TreatmentContext
from .forward_trace import ForwardTrace, TracedCall, as_batch, trace_forward
from .grafting import outermost
from .initial import at_criticality, before
from .projections import module_of
from .standardise import statistics
from .swap import is_module_of, parameters_of
from .treating import apply_
from .undo import Undo

#: Inputs of more features are not written down: their numbers are taken from the batch.
MOST_FEATURES = 32
_RECTIFIERS = ("relu", "leaky_relu", "prelu", "gelu", "silu", "mish")


def spots(folder: str) -> list[Spot]:
    """Lines of the script's own files on the stack now, the innermost first."""
    found: list[Spot] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = os.path.realpath(frame.f_code.co_filename)
        inside = name.startswith(folder + os.sep) and "site-packages" not in name
        if inside and os.path.isfile(name):
            found.append(Spot(os.path.relpath(name, folder).replace(os.sep, "/"), frame.f_lineno))
        frame = frame.f_back
    return found


class MadeLines:
    """Notes, while it is watching, which lines of the script make modules."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self._lines: WeakKeyDictionary[nn.Module, list[Spot]] = WeakKeyDictionary()
        self._init: Any = None

    def watch(self) -> None:
        """From now on."""
        init = self._init = nn.Module.__init__

        @functools.wraps(init)
        def noted(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            init(module, *args, **kwargs)
            self._lines.setdefault(module, spots(self.folder))

        nn.Module.__init__ = noted  # type: ignore[method-assign, assignment]

    def unwatch(self) -> None:
        """No longer."""
        nn.Module.__init__ = self._init  # type: ignore[method-assign]

    def of(self, module: nn.Module) -> tuple[Spot, ...]:
        """The lines that made a module, the innermost first."""
        return tuple(self._lines.get(module, ()))


class SpottedTrace(ForwardTrace):
    """A forward that notes which line of the script called what."""

    def __init__(self, model: nn.Module, folder: str) -> None:
        super().__init__(model)
        self.folder, self.spots = folder, dict[int, Spot]()

    def _open(self, op: Any, args: Any, kwargs: Any, tensors: list[Tensor]) -> TracedCall:
        call = super()._open(op, args, kwargs, tensors)
        if call.kind in ("activation", "attention") and (found := spots(self.folder)):
            self.spots[call.index] = found[0]
        return call


def know_(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    chosen: Sequence[Parsed],
    batch: Any,
    folder: str,
    made: Callable[[nn.Module], tuple[Spot, ...]],
) -> tuple[Undo, Mapping[str, KnownModel]]:
    """Apply a course in place, and tell how each of its treatments finds the model.

    Args:
        model, optimizers, batch: as `treat_` takes them.
        chosen: in the order of application.
        folder: of the script's own files. made: the lines that made a module.

    Returns:
        What `attach` makes known to later optimizers, and the model by each treatment's text.

    Raises:
        ValueError: a treatment cannot be applied.
    """
    plain = unwrap(model)
    undo = Undo(tuple(p.treatment for p in chosen), None)
    undo._seen.extend(optimizers)
    context = TreatmentContext(model, plain, optimizers, as_batch(batch), 0, undo)
    found = {}
    for p in chosen:
        found[str(p)] = _known(context, p, folder, made)
        if p.entry.apply:
            apply_([p], context)
    return undo, found


def _known(
    context: TreatmentContext, p: Parsed, folder: str, made: Callable[[nn.Module], tuple[Spot, ...]]
) -> KnownModel:
    model, batch = context.model, context.batch
    assert batch is not None
    seen = SpottedTrace(model, folder)
    trace_forward(model, batch, seen)
    names = {id(m): path for path, m in model.named_modules()}
    hidden = {c.index for c in seen.hidden}
    activations = [c for c in seen.calls if c.kind == "activation"]
    chosen = {c.index for c in seen.activations}
    droppers = [m for m in model.modules() if "Dropout" in type(m).__name__ and m.training]
    return KnownModel(
        modules=tuple((path, type(m).__name__) for path, m in model.named_modules()),
        layers=tuple(
            _layer(context, c, c.index in hidden, sum(k.weight is c.weight for k in seen.calls))
            for c in seen.layers
        ),
        activations=tuple(
            _activation(c, c.index in chosen, seen.spots.get(c.index), made) for c in activations
        ),
        branches=tuple(_branch(context, c) for c in seen.branches),
        recurrent=tuple(
            (path, type(m).__name__)
            for path, m in model.named_modules()
            if isinstance(m, (nn.RNNBase, nn.RNNCellBase))
        ),
        cells=len(seen.cells),
        attending=tuple(
            (names[id(m)], name) for m, name in attention_weights(context) if id(m) in names
        ),
        attention=tuple(
            _attention(c, seen.spots.get(c.index)) for c in seen.calls if c.kind == "attention"
        ),
        input=_input(batch, p),
        first=names.get(id(outermost(model)), ""),
        last=names.get(id(outermost(model, last=True)), ""),
        depth=seen.longest([c.index in chosen for c in seen.calls]),
        dropout=bool(droppers) or any(c.kind == "dropout" for c in seen.calls),
        buffers=any(m.training for m in model.modules() if "BatchNorm" in type(m).__name__),
        tensor=isinstance(seen.output, Tensor),
    )


def _layer(context: TreatmentContext, call: TracedCall, hidden: bool, calls: int) -> KnownLayer:
    module, fed = context.module_of(call), before(call)
    he, point, why = 1.0, (1.0, 0.0), ""
    if fed is not None and fed.op in _RECTIFIERS:
        slope = parameters_of(fed).get("negative_slope", 0.25 if fed.op == "prelu" else 0.0)
        he = 2 / (1 + slope**2)
    if fed is not None and hidden:
        try:
            critical = at_criticality(fed)
            point = critical.sw2, critical.sb2
        except ValueError as error:
            point, why = (math.nan, math.nan), str(error)
    after = call.nearest(("activation", "norm", "affine"), ("dropout", "view"), back=False)
    through = call.nearest(("activation", "affine", "join"), ("pool", "view", "norm"), True)
    square = bool(call.shapes) and call.shape == call.shapes[0] and len(call.children) == 1
    then = call.children[0] if square and call.children[0].kind == "activation" else None
    return KnownLayer(
        path=call.path,
        cls=type(module).__name__ if module is not None else "",
        op=call.op,
        shape=tuple(call.weight.shape) if call.weight is not None else (),
        transposed=bool(call.rows),
        bias=call.bias is not None,
        hidden=hidden,
        fed=fed.op if fed is not None else "",
        he=he,
        sw2=point[0],
        sb2=point[1],
        uncritical=why,
        output=call.shape,
        normable=hidden and any(c.kind == "activation" for c in after),
        dropped=bool(through) and through[0].kind == "activation",
        calls=calls,
        then=then.index if then is not None and hidden else None,
    )


def _activation(
    call: TracedCall,
    hidden: bool,
    called: Spot | None,
    made: Callable[[nn.Module], tuple[Spot, ...]],
) -> KnownActivation:
    whole = is_module_of(call)
    return KnownActivation(
        index=call.index,
        op=call.op,
        parameters=parameters_of(call),
        path=call.path,
        cls=type(call.module).__name__ if call.module is not None else "",
        module=whole,
        hidden=hidden,
        called=called,
        made=next(iter(made(call.module)), None) if whole and call.module is not None else None,
    )


def _branch(context: TreatmentContext, call: TracedCall) -> tuple[str, bool]:
    module = call.module
    whole = module is not None and not list(module.children())
    whole = whole or module_of(call) is not None
    return call.path, bool(module is not None and (context.module_of(call) or whole))


def _attention(call: TracedCall, called: Spot | None) -> KnownAttention:
    module = call.module
    size = call.shapes[0][-1] if call.shapes and call.shapes[0] else 0
    if isinstance(module, nn.MultiheadAttention):
        size = int(module.head_dim)
    return KnownAttention(call.path, type(module).__name__, size, called)


def _input(batch: Any, p: Parsed) -> KnownInput | None:
    args, kwargs = batch
    x = args[0] if args else next(iter(kwargs.values()), None)
    if not isinstance(x, Tensor):
        return None
    bare = KnownInput(x.dim(), x.is_floating_point())
    if p.entry.kind != "input" or not x.is_floating_point() or x.dim() < 2:
        return bare
    numbers = [t.flatten().tolist() for t in statistics(x, p.value.kind, p.value.width)]
    if len(numbers[0]) > MOST_FEATURES:
        return bare
    return KnownInput(x.dim(), True, *map(tuple, numbers))
