"""One forward and one backward of a model under the tape: the readings a first step would have.

The cotangent (dL/d output) is random, N(0,1) with the size that a mean over the batch gives it,
on every floating output that carries a gradient: layer errors are linear in it, so that their
ratios need no label (THEORY §2: one pass predicts log10 of their ratio within .1 on all nets
tried). Over a hundred layers δ leaves float32: then the cotangent is scaled, which is exact, and
where even that does not do the caller goes on in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..schema import Channel, Parameter, Site, metric_named
from ..tape import (
    ForwardReader,
    OpCall,
    Recorder,
    SiteRegistry,
    alike,
    home,
    keep_texts,
    norm,
    plain,
    tensors_within,
    unit_rows,
    wide,
)
from .ends import ends
from .inputs import described
from .isolation import same_random, unwatched
from .overtime import Met, Opened
from .width import error_bars

#: rms of δ must stay between these for float32 norms and slopes to be exact (tiny = 1.2e-38).
_LOW, _HIGH = 1e-30, 1e25
#: The same for float64, whose norms square (tiny = 2e-308).
_LOW64, _HIGH64 = 1e-145, 1e140
#: rms of an output must stay between these for float32 squares, as 1 - c needs them.
_FAINT, _LOUD = 1e-15, 1e15
_RANKED = frozenset({"affine", "activation", "norm", "join", "attention", "recurrent", "pool"})
#: The rank of what a site gives is read off this many samples and features at most.
_SAMPLES, _FEATURES = 64, 2048
#: Metrics that need the squares of outputs.
_SQUARED = frozenset({"spread", "rank"})


class Measured(NamedTuple):
    """What `assemble` needs, and whether δ fitted into the model's number format.

    Attributes:
        sites: [S]. params: [P]. log10_delta, error_bar: [S], see `Outlook`.
        readings: by channel; δ itself is in `log10_delta` alone.
        fits: False where some δ was lost to underflow or overflow at every scale.
        time: fused recurrent layers step by step (`overtime.Opened.chains`).
        script: "folder" and "source", as of `Run.meta`.
    """

    sites: tuple[Site, ...]
    params: tuple[Parameter, ...]
    readings: dict[Channel, float]
    log10_delta: tuple[float, ...]
    error_bar: tuple[float, ...]
    fits: bool
    time: tuple[dict[str, Any], ...] = ()
    script: Mapping[str, Any] = MappingProxyType({})

    @property
    def meta(self) -> dict[str, Any]:
        """What a forecast's run says of it."""
        known = {"fits": self.fits, "through_time": list(self.time), "torch": torch.__version__}
        return {**self.script, **known}


def measure(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    loss_fn: Callable[..., Tensor] | None = None,
    targets: Any = None,
    seed: int = 0,
    accumulate: bool = True,
) -> Measured:
    """Run the model once forward and back (twice where δ must be scaled) and read the tape.

    Changes the model as a training step without its update does: work on a copy, or under
    `isolation.restored`. Random states, an open watch and the caller's modes are left alone.

    Args:
        model: its mode (training or not) is used as it is.
        loss_fn, targets, seed: as `preflight`'s.
        accumulate: gradients go to `.grad`; else they are taken aside, where hooks on
            parameters stay silent but reentrant checkpointing does not work.

    Raises:
        ValueError: the model cannot be called so, or gives nothing a gradient flows from.
    """
    first = _pass(model, args, kwargs, loss_fn, targets, seed, accumulate, 1.0)
    if _fits(first):
        return _measured(first, first, _squares(first))
    top = max((v for v in _deltas(first) if math.isfinite(v)), default=1.0)
    high = _HIGH64 if _wide(first) else _HIGH
    scale = 2.0 ** math.floor(math.log2(high / top)) if top > 0 else 1.0
    half = any(s.dtype in ("float16", "bfloat16") for s in first.sites)
    if half or scale == 1.0:
        return _measured(first, first, half and _fits(first))
    second = _pass(model, args, kwargs, loss_fn, targets, seed, accumulate, scale)
    return _measured(first, second, _fits(second) and _squares(first))


def join(narrow: Measured, wide: Measured) -> Measured:
    """δ and what hangs on it from `wide` (float64), all else from `narrow` (as it will train)."""
    if [s.name for s in narrow.sites] != [s.name for s in wide.sites]:
        return narrow
    kept = {c: v for c, v in narrow.readings.items() if not _of_delta(c)}
    lost = {c for c, v in kept.items() if c.metric in _SQUARED and not math.isfinite(v)}
    kept = {c: v for c, v in kept.items() if c not in lost}
    taken = {c: v for c, v in wide.readings.items() if _of_delta(c) or c in lost}
    return narrow._replace(
        readings=kept | taken,
        log10_delta=wide.log10_delta,
        fits=narrow.fits or wide.fits,
        time=wide.time,
    )


def _of_delta(c: Channel) -> bool:
    return metric_named(c.of, c.metric).exact_delta


# -- one pass ---------------------------------------------------------------------------------


class _Pass(NamedTuple):
    sites: tuple[Site, ...]
    params: tuple[Parameter, ...]
    values: dict[Channel, float]
    time: tuple[dict[str, Any], ...]
    script: Mapping[str, Any]


def _pass(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    loss_fn: Callable[..., Tensor] | None,
    targets: Any,
    seed: int,
    accumulate: bool,
    scale: float,
) -> _Pass:
    recorder = Recorder(_raise, model, reader=_Deep)

    def engine(outputs: Any, *more: Any, **named: Any) -> Any:
        if recorder.recording:
            recorder.before_backward([t for t in outputs if isinstance(t, Tensor)], scale)
        run = torch.autograd.Variable._execution_engine.run_backward
        return run(outputs, *more, **named)

    weights = [p for p in model.parameters() if p.requires_grad]
    devices = {t.device for t in (*model.parameters(), *model.buffers())}
    with unwatched(engine), same_random(devices, seed), torch.enable_grad():
        recorder.arm(full=True)
        opened = Opened(model)
        try:
            out = _call(model, args, kwargs)
            roots, cotangents = _roots(model, out, loss_fn, targets, seed, scale)
            if roots[0].dim() == 0 and loss_fn is not None:
                recorder.add("step", 0, "loss", roots[0].detach())
            try:
                if accumulate:
                    torch.autograd.backward(roots, cotangents)
                    grads = [p.grad for p in weights]
                else:
                    grads = list(
                        torch.autograd.grad(roots, weights, cotangents, allow_unused=True)
                        if weights
                        else ()
                    )
            except RuntimeError as error:
                raise ValueError(
                    f"the backward pass of {type(model).__name__} failed: {error}"
                ) from error
            scalars = recorder.release()
            if recorder.probes.waiting:
                recorder.probes.run(scalars)
        finally:
            opened.close()
            recorder.disarm()
            recorder.settle()
        time = opened.chains(lambda met: _site_of(recorder, met))
        _read_parameters(recorder, scalars, model, weights, grads, scale)
        if accumulate:
            for p in weights:
                p.grad = None
    reading = scalars.finish(0).reading({})
    values = dict(zip(reading.channels, reading.values.tolist(), strict=True))
    registry = recorder.registry
    met = tuple(registry.sites), tuple(registry.params)
    return _Pass(*met, values, tuple(time), _script(registry))


def _script(registry: SiteRegistry) -> dict[str, Any]:
    """Where it was started, and the lines that made and ran what was met."""
    source: dict[str, dict[str, str]] = {}
    keep_texts(registry.seen, home(registry.folder), registry.folder, source)
    return {"folder": registry.folder, "source": source}


def _read_parameters(
    recorder: Recorder,
    scalars: Any,
    model: nn.Module,
    weights: Sequence[nn.Parameter],
    grads: Sequence[Tensor | None],
    scale: float,
) -> None:
    for p, g in zip(weights, grads, strict=True):
        index = recorder.registry.param(p)
        if index is None:
            continue
        if isinstance(g, Tensor) and g.layout == torch.strided:
            scalars.add(Channel("param", index, "grad"), norm(g.detach()) / scale)
    named = dict(model.named_parameters())
    for name, w, g in unit_rows(named, {id(p): g for p, g in zip(weights, grads, strict=True)}):
        index = recorder.registry.param(named[name])
        if index is not None:
            scalars.add(Channel("param", index, "alike"), alike(w, g))
    for index, w in recorder.registry.tensors():
        scalars.add(Channel("param", index, "weight"), norm(w.detach()))


def _site_of(recorder: Recorder, met: Met) -> int | None:
    """The site of a fused layer's call."""
    place = recorder.registry.place(met.module)
    if place is None:
        return None
    return next(
        (
            s.id
            for s in recorder.registry.sites
            if s.kind == "recurrent" and (s.root, s.path, s.call) == (*place, met.call)
        ),
        None,
    )


class _Deep(ForwardReader):
    """Also reads how many directions samples differ in: too dear for a training's steps."""

    def _read(self, call: OpCall, site: int, x: Tensor, kept: bool = False) -> None:
        super()._read(call, site, x, kept)
        kind = self.recorder.registry.sites[site].kind
        values = plain(x)
        if kind in _RANKED and values is not None:
            found = rank(values)
            if found is not None:
                self.recorder.add("site", site, "rank", found)


def rank(x: Tensor) -> Tensor | None:
    """Effective number of directions in which samples (axis 0) of x differ.

    (Σ λ)² / Σ λ² over the eigenvalues λ of the samples' covariance, the participation ratio, read
    off the Gram matrix of centred samples: 1 where all lie on one line, at most B - 1. None for
    fewer than three samples.
    """
    if x.dim() < 2 or x.shape[0] < 3:
        return None
    x_BF = x[:_SAMPLES].flatten(1)
    x_BF = wide(x_BF[:, :: max(1, math.ceil(x_BF.shape[1] / _FEATURES))])
    x_BF = x_BF - x_BF.mean(0)
    x_BF = x_BF / x_BF.abs().max()
    gram_BB = x_BF @ x_BF.T
    return gram_BB.trace() ** 2 / gram_BB.square().sum()


def _call(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    try:
        return model(*args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} cannot be called with ({described(args, kwargs)}): "
            f"{type(error).__name__}: {error}"
        ) from error


def _roots(
    model: nn.Module,
    out: Any,
    loss_fn: Callable[..., Tensor] | None,
    targets: Any,
    seed: int,
    scale: float,
) -> tuple[list[Tensor], list[Tensor]]:
    """Where the backward begins, and with which cotangents."""
    if loss_fn is not None:
        try:
            loss = loss_fn(out) if targets is None else loss_fn(out, targets)
        except Exception as error:
            raise ValueError(
                f"loss_fn failed on what {type(model).__name__} returned "
                f"({described(floating(out), {})}): {type(error).__name__}: {error}"
            ) from error
        if not isinstance(loss, Tensor) or loss.numel() != 1 or loss.grad_fn is None:
            raise ValueError(
                f"loss_fn gave {_what(loss)}; it must give a scalar tensor that depends on the "
                "model's output"
            )
        return [loss], [torch.full_like(loss, scale)]
    roots = ends([t for t in floating(out) if t.grad_fn is not None])
    if not roots:
        raise ValueError(
            f"{type(model).__name__} gave {_what(out)}, nothing a gradient flows from: are all "
            "parameters frozen, or is the output detached?"
        )
    draw = torch.Generator().manual_seed(seed + 1)
    return roots, [_cotangent(t, draw, scale) for t in roots]


def _cotangent(out: Tensor, draw: torch.Generator, scale: float) -> Tensor:
    """N(0,1) over the number of elements' root and the batch, as a mean of losses has it."""
    if out.dim() == 0:
        return torch.full_like(out, scale)
    share = scale / (out.shape[0] * math.sqrt(max(1, out[0].numel())))
    made = torch.randn(out.shape, generator=draw, dtype=torch.float64) * share
    return made.to(device=out.device, dtype=out.dtype)


def floating(out: Any) -> list[Tensor]:
    """Every floating tensor in an output, each once."""
    found = {id(t): t for t in tensors_within(out) if t.is_floating_point()}
    return list(found.values())


def _what(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {list(value.shape)}"
    return f"a {type(value).__name__}"


# -- reading it -------------------------------------------------------------------------------


def _deltas(p: _Pass) -> list[float]:
    return [v for c, v in p.values.items() if c.of == "site" and c.metric == "delta"]


def _wide(p: _Pass) -> bool:
    return all(s.dtype == "float64" for s in p.sites if s.kind != "input")


def _fits(p: _Pass) -> bool:
    """No δ near the end of the number format. Exact zeros fit if none of the rest is small."""
    low, high = (_LOW64, _HIGH64 * 10) if _wide(p) else (_LOW, _HIGH)
    return all(v == 0 or low < v < high for v in _deltas(p))


def _squares(p: _Pass) -> bool:
    """No output so small or large that its float32 squares are lost."""
    sizes = [v for c, v in p.values.items() if c.of == "site" and c.metric == "rms"]
    return _wide(p) or all(v == 0 or (not v < _FAINT and not v > _LOUD) for v in sizes)


def _measured(plain: _Pass, scaled: _Pass, fits: bool) -> Measured:
    """Forward readings of the pass at true size, δ and its kin of the scaled one."""
    levels = []
    for site in scaled.sites:
        v = scaled.values.get(Channel("site", site.id, "delta"), math.nan)
        levels.append(-math.inf if v == 0 else math.log10(v) if 0 < v < math.inf else math.nan)
    readings = {c: v for c, v in plain.values.items() if not _of_delta(c)}
    readings |= {
        c: v
        for c, v in scaled.values.items()
        if _of_delta(c) and (c.of, c.metric) != ("site", "delta")
    }
    bars = error_bars(scaled.sites)
    return Measured(
        scaled.sites, scaled.params, readings, tuple(levels), bars, fits, scaled.time, plain.script
    )


def _raise(error: Exception, where: str) -> None:
    raise error
