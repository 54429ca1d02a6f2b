"""What would mend a start: each change is made on a copy, and the copy is foreseen anew."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..activations import TailoredLeakyReLU, TailoredSigmoid, TailoredTanh
from ..faults import View
from ..faults.birth import DOUBT, Birth
from ..lang import N_, _
from ..network import BOUNDED
from ..schema import Run
from .aside import copied, same_random
from .record import Advice, Forecast

#: A change is worth telling from this chance on.
LIKELY = 0.5
#: From so many layers on a network is told of ReZero, which is about depth.
DEEP = 5
#: Larger models are not tried: five passes and as many copies would cost too much.
LARGEST = 20_000_000
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_RECTIFIERS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish)
_REZERO = Advice(
    "rezero-branches",
    N_(
        "Write each layer as x + a * f(x) with a learnt a that starts at 0 (ReZero); not tried "
        "here, as it changes the network's structure."
    ),
)
Foresee = Callable[[nn.Module], Run]


def advise(
    model: nn.Module, forecast: Forecast, args: tuple[Any, ...], kwargs: dict[str, Any],
    foresee: Foresee, seed: int,
) -> tuple[Advice, ...]:  # fmt: skip
    """Changes that would make it trainable, those most likely to first.

    Args:
        forecast: of the model as it stands; nothing is advised where its chance is fine.
        foresee: a copy -> the predicted run of it.
        seed: of weights that are drawn anew.
    """
    if not forecast.chance < LIKELY or not forecast.depth:
        return ()
    size = sum(p.numel() for p in model.parameters())
    tried = list(_tried(model, forecast, args, kwargs, foresee, seed)) if size <= LARGEST else []
    tried.sort(key=lambda a: -a.chance)
    if Birth.of(View(forecast.run)).worst < DOUBT or forecast.depth < DEEP:
        return tuple(tried)
    return (*tried, dataclasses.replace(_REZERO, text=_(_REZERO.text)))


def _tried(
    model: nn.Module, forecast: Forecast, args: tuple[Any, ...], kwargs: dict[str, Any],
    foresee: Foresee, seed: int,
) -> Iterable[Advice]:  # fmt: skip
    ops = {s.op for s in forecast.run.sites if s.kind == "activation"}
    for change, text, alter in _changes(model, ops, forecast.depth):
        twin = copied(model)
        if twin is None:
            return
        twin.train()
        devices = {t.device for t in (*twin.parameters(), *twin.buffers())}
        try:
            with same_random(devices, seed), torch.no_grad():
                alter(twin, args, kwargs)
            birth = Birth.of(View(foresee(twin)))
        except (ValueError, RuntimeError):  # a model that this change does not fit
            continue
        if birth.chance >= LIKELY and not math.isnan(birth.chance):
            yield Advice(change, text, birth.chance, birth.trainable_depth)


_Alter = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]


def _changes(model: nn.Module, ops: set[str], depth: int) -> Iterable[tuple[str, str, _Alter]]:
    if any(isinstance(m, _RECURRENT) for m in model.modules()):
        yield (
            "orthogonal-recurrence",
            _("Draw recurrent weights with torch.nn.init.orthogonal_(weight_hh), gate by gate."),
            lambda m, a, k: _recurrent_(m),
        )
    layers = [m for m in model.modules() if isinstance(m, _LAYERS)]
    if not layers or depth < 2:
        return
    gain = math.sqrt(2.0) if ops and not ops & BOUNDED else 1.0
    yield (
        "orthogonal-weights",
        _("Draw weights with torch.nn.init.orthogonal_(weight, gain={gain}); biases zero.").format(
            gain=f"{gain:.3g}"
        ),
        lambda m, a, k: _orthogonal_(m, gain),
    )
    if not ops & BOUNDED:
        yield (
            "he-weights",
            _("Draw weights with torch.nn.init.kaiming_normal_(weight); biases zero."),
            lambda m, a, k: _he_(m),
        )
    else:
        yield (
            "centred-lsuv",
            _(
                "Centred LSUV: orthogonal weights, then layer by layer on a batch divide each row "
                "by the deviation of its output and set its bias to minus mean over deviation."
            ),
            _lsuv_,
        )
    if any(isinstance(m, (*_RECTIFIERS, nn.Sigmoid, nn.Tanh)) for m in model.modules()):
        yield (
            "tailored-activations",
            _(
                "Replace the activations by evenflow.activations' tailored ones (depth={depth}) "
                "with orthogonal weights of gain 1."
            ).format(depth=depth - 1),
            lambda m, a, k: _tailor_(m, depth - 1),
        )
    if any(isinstance(m, _NORMS) for m in model.modules()):
        yield (
            "without-batchnorm",
            _(
                "Leave BatchNorm out: a deep plain network's gradient explodes by it. Orthogonal "
                "weights of gain {gain} instead."
            ).format(gain=f"{gain:.3g}"),
            lambda m, a, k: _plain_(m, gain),
        )


def _layers(model: nn.Module) -> Iterable[nn.Module]:
    return (m for m in model.modules() if isinstance(m, _LAYERS))


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def _zero_bias_(layer: nn.Module) -> None:
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)


def _orthogonal_(model: nn.Module, gain: float) -> None:
    for layer in _layers(model):
        nn.init.orthogonal_(_weight(layer), gain)
        _zero_bias_(layer)


def _recurrent_(model: nn.Module) -> None:
    """Square parts [H, H], one of each gate; of a projected LSTM [H, P]."""
    for layer in model.modules():
        if isinstance(layer, _RECURRENT):
            for name, weight in layer.named_parameters(recurse=False):
                if "weight_hh" in name:
                    for gate in weight.split(layer.hidden_size):  # type: ignore[no-untyped-call]
                        nn.init.orthogonal_(gate)


def _he_(model: nn.Module) -> None:
    for layer in _layers(model):
        nn.init.kaiming_normal_(_weight(layer))
        _zero_bias_(layer)


def _lsuv_(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """One forward: each layer is set when it is first reached, and what it gives is set with it."""
    _orthogonal_(model, 1.0)
    done: set[nn.Module] = set()

    def set_(layer: nn.Module, given: Any, out: Tensor) -> Tensor | None:
        if layer in done:
            return None
        done.add(layer)
        unit = out.dim() - 1 if isinstance(layer, nn.Linear) else 1
        axes = [i for i in range(out.dim()) if i != unit]
        mean, std = out.mean(axes, keepdim=True), out.std(axes, keepdim=True)
        std = torch.where(std > 1e-6 * std.max(), std, torch.ones_like(std))
        weight = _weight(layer)
        weight.div_(std.flatten().view(-1, *[1] * (weight.dim() - 1)))
        if isinstance(layer.bias, Tensor):
            layer.bias.copy_((layer.bias - mean.flatten()) / std.flatten())
            return (out - mean) / std
        return out / std

    hooks = [m.register_forward_hook(set_) for m in _layers(model)]
    try:
        model(*args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()


def _tailor_(model: nn.Module, depth: int) -> None:
    def suited(old: nn.Module) -> nn.Module | None:
        if isinstance(old, nn.Sigmoid):
            return TailoredSigmoid(depth)
        if isinstance(old, nn.Tanh):
            return TailoredTanh(depth)
        return TailoredLeakyReLU(depth) if isinstance(old, _RECTIFIERS) else None

    _replace_(model, suited)
    _orthogonal_(model, 1.0)


def _plain_(model: nn.Module, gain: float) -> None:
    _replace_(model, lambda old: nn.Identity() if isinstance(old, _NORMS) else None)
    _orthogonal_(model, gain)


def _replace_(model: nn.Module, new: Callable[[nn.Module], nn.Module | None]) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            found = new(child)
            if found is not None:
                setattr(parent, name, found)
