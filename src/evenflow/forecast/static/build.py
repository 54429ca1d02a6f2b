"""Build a model without its weights: large ones stay unseen, small ones and buffers are real.

Not torch's meta device: there a library skips its own initialisation (a Llama built on meta keeps
torch's default, std .036, instead of its own .020), and buffers such as rotary frequencies have no
values. Here all code of the library runs as it would on a CPU, and the laws of the weights are
what it really did, at the real configuration (GPT-2's residual projections at .02/√(2L)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from . import law
from .source import Random, Source
from .unseen import UnseenWeight

aten = torch.ops.aten

#: Weights with fewer elements are stored: their products cost less than revealing them.
LEAST = 1 << 18


def build(
    factory: Callable[[], nn.Module],
    seed: int = 0,
    least: int = LEAST,
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """Call `factory` so that weights of `least` elements or more are not stored.

    Unseen parameters do not require a gradient: that of a weight is as large as the weight. The
    model runs forward and backward on the CPU as always.

    Args:
        factory: makes the model, on the CPU or on the meta device.
        seed: of the weights revealed later. Small weights are drawn from torch's generator.
        least: see above; two dimensions or more, and floating.
        dtype: in which products with unseen weights are computed.

    Raises:
        ValueError: the model has parameters on the meta device that were not made by the factory
            (their initialisation cannot be known), or it is not an `nn.Module`.
    """
    with _Building(Random(seed, dtype), least):
        model = factory()
    if not isinstance(model, nn.Module):
        raise ValueError(f"the factory made a {type(model).__name__}, not an nn.Module: {model!r}")
    for name, p in model.named_parameters():
        if isinstance(p, UnseenWeight):
            p.source.trainable = p.requires_grad
            p.requires_grad_(False)
        elif p.device.type == "meta":
            raise ValueError(
                f"parameter {name} {tuple(p.shape)} is on the meta device: it was made before, so "
                "its initialisation cannot be seen. Give a factory that makes the whole model."
            )
    for source in sources(model).values():
        source.frozen = True
    for m in model.modules():
        for name, b in m._buffers.items():
            if isinstance(b, UnseenWeight):
                b.source.frozen = True
                m._buffers[name] = b.source.stored(f"buffer {name}").to(b.dtype)
    return model


def sources(model: nn.Module) -> dict[str, Source]:
    """The unseen weights of a built model by parameter name; a shared one under its first."""
    found: dict[int, tuple[str, Source]] = {}
    for name, p in model.named_parameters():
        if isinstance(p, UnseenWeight):
            found.setdefault(id(p.source), (name, p.source))
    return dict(found.values())


class _Building(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Large floating tensors of two dimensions or more come into being unseen."""

    def __init__(self, random: Random, least: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._random, self._least = random, least

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "meta":
            kwargs["device"] = torch.device("cpu")
        make = _MADE.get(func)
        if make is not None:
            # new_empty(like, shape) and full(shape, value) alike hold their shape in a list
            shape = next(tuple(a) for a in args if isinstance(a, (list, tuple, torch.Size)))
            like = args[0] if isinstance(args[0], Tensor) else None
            dtype = kwargs.get("dtype") or (like.dtype if like is not None else None)
            dtype = dtype or torch.get_default_dtype()
            large = len(shape) > 1 and torch.Size(shape).numel() >= self._least
            if large and dtype.is_floating_point and not isinstance(like, UnseenWeight):
                source = Source(shape, make(self._random, args), self._random)
                return UnseenWeight(source, shape, dtype)
        return func(*args, **kwargs)


_MADE: dict[Any, Callable[[Random, Any], Tensor]] = {
    aten.empty.memory_format: lambda r, _: law.constant(0.0),
    aten.new_empty.default: lambda r, _: law.constant(0.0),
    aten.zeros.default: lambda r, _: law.constant(0.0),
    aten.new_zeros.default: lambda r, _: law.constant(0.0),
    aten.ones.default: lambda r, _: law.constant(1.0),
    aten.new_ones.default: lambda r, _: law.constant(1.0),
    aten.full.default: lambda r, args: law.constant(float(args[1])),
    aten.randn.default: lambda r, _: law.normal(0.0, 1.0, r.laws),
    aten.rand.default: lambda r, _: law.uniform(0.0, 1.0, r.laws),
}
