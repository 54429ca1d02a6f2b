"""Data put to scale inside the model: inputs on their way in, predictions on their way out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..standardise import InputScale, TargetScale
from .context import TreatmentContext
from .grafting import Forward, Graft, outermost

#: Batches over which running statistics are averaged; then they stay.
WARM = 100


class ScaledInputs(Graft):
    """(x - shift) / scale for each feature of the first tensor, or x clamped to [low, high].

    Features: dimension 1 of images and the like ([B, C, ...] of 4 dimensions or more), else the
    last one. `running` averages the statistics of the first `WARM` training batches.
    """

    own_dtype = True
    shift: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    seen: Tensor

    def __init__(self, x: Tensor, kind: str, running: bool, width: float) -> None:
        super().__init__()
        self.kind, self.running = kind, running
        shift, scale, low, high = statistics(x, kind, width)
        for name, value in (("shift", shift), ("scale", scale), ("low", low), ("high", high)):
            self.register_buffer(name, value)
        self.register_buffer("seen", torch.ones((), device=x.device))

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else next(iter(kwargs.values()))
        if not isinstance(x, Tensor) or not x.is_floating_point():
            return inner(*args, **kwargs)
        if self.running and self.training and torch.is_grad_enabled():
            self._average(x)
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        new = (
            torch.minimum(torch.maximum(x, low), high)
            if self.kind == "clamp"
            else (x - self.shift.to(x.dtype)) / self.scale.to(x.dtype)
        )
        if args:
            return inner(new, *args[1:], **kwargs)
        return inner(**kwargs | {next(iter(kwargs)): new})

    @torch.no_grad()
    def _average(self, x: Tensor) -> None:
        """Cumulative mean of the batches' shift and scale; without a host synchronisation."""
        shift, scale, _, _ = statistics(x.detach(), self.kind, 1.0)
        # past WARM batches the weight is 0 and nothing moves
        share = torch.where(self.seen < WARM, 1 / (self.seen + 1), torch.zeros_like(self.seen))
        self.shift.lerp_(shift.to(self.shift.dtype), share.to(self.shift.dtype))
        self.scale.lerp_(scale.to(self.scale.dtype), share.to(self.scale.dtype))
        self.seen.add_(1)


def statistics(x: Tensor, kind: str, width: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(shift, scale, low, high), each to be broadcast against x, from its finite elements.

    standardise: mean and deviation; minmax: lowest and range; clamp: median ± `width` robust
    deviations (IQR / 1.349). A feature that does not vary gets scale 1.
    """
    feature = 1 if x.dim() >= 4 else x.dim() - 1
    rows = x.detach().float().movedim(feature, -1).reshape(-1, x.shape[feature])
    rows = torch.where(rows.isfinite(), rows, torch.full_like(rows, float("nan")))
    low = torch.full_like(rows[0], -torch.inf)
    high = torch.full_like(rows[0], torch.inf)
    if kind == "minmax":
        shift = torch.nan_to_num(rows, nan=torch.inf).amin(0)
        scale = torch.nan_to_num(rows, nan=-torch.inf).amax(0) - shift
    elif kind == "clamp":
        at = torch.tensor([0.25, 0.5, 0.75], device=rows.device)
        lower, shift, upper = rows.nanquantile(at, 0)
        scale = (upper - lower) / 1.349
        flat = scale <= 0  # most are the same number: the others are judged by their deviation
        scale = torch.where(flat, _deviation(rows), scale)
        low, high = shift - width * scale, shift + width * scale
    else:
        shift, scale = rows.nanmean(0), _deviation(rows)
    shift = torch.nan_to_num(shift, nan=0.0, posinf=0.0, neginf=0.0)
    sound = scale.isfinite() & (scale > 1e-6 * shift.abs().clamp_min(1e-30))
    scale = torch.where(sound, scale, torch.ones_like(scale))
    shape = [1] * x.dim()
    shape[feature] = -1
    a, b, c, d = (t.reshape(shape) for t in (shift, scale, low, high))
    return a, b, c, d


def _deviation(rows: Tensor) -> Tensor:
    mean = rows.nanmean(0)
    return ((rows - mean) ** 2).nanmean(0).sqrt()


def inputs(context: TreatmentContext, wanted: InputScale) -> None:
    """Standardise, scale to [0, 1], or clamp the root's first tensor, by its first batch."""
    if context.batch is None:
        raise ValueError("it takes its statistics from a batch: give treat_ one.")
    args, kwargs = context.batch
    x = args[0] if args else next(iter(kwargs.values()), None)
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        raise ValueError(
            "the first input is no tensor of real numbers with a batch dimension; scale the data "
            "in the script."
        )
    context.graft(outermost(context.model), ScaledInputs(x, *wanted), None)


class ScaledOutputs(Graft):
    """y = MEAN + STD z, and dL/dz as if the loss compared z with (target - MEAN)/STD."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        z = inner(*args, **kwargs)
        if not isinstance(z, Tensor):
            raise ValueError("target=standardise needs a model that returns one tensor.")
        # a squared error is STD² as large in the target's units; its gradient is put back
        scaled = _GradientScale.apply(z, self.std**-2)  # type: ignore[no-untyped-call]
        return self.mean + self.std * scaled


class _GradientScale(torch.autograd.Function):
    """The identity whose gradient is multiplied by a constant."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


def target(context: TreatmentContext, wanted: TargetScale) -> None:
    """The network learns standardised targets, its output is in theirs."""
    if context.batch is not None and not isinstance(context.forward.output, Tensor):
        raise ValueError("the model returns no single tensor; scale the target in the script.")
    context.graft(outermost(context.model, last=True), ScaledOutputs(*wanted), None)
