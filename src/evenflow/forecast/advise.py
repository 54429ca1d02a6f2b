"""What would mend a start: each treatment is made on a copy, and the copy is foreseen anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from ..faults import DOUBT, Birth, View
from ..lang import _
from ..network import BOUNDED
from ..schema import Run
from ..treatments import treat_
from .isolation import copied, same_random
from .record import Advice, Forecast

#: A change is worth telling from this chance on.
LIKELY = 0.5
#: From so many layers on a network is told of ReZero, which is about depth.
DEEP = 5
#: Larger models are not tried: five passes and as many copies would cost too much.
LARGEST = 20_000_000
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
#: Prescribed as text: no treatment takes BatchNorm out, so that here the copy is edited.
WITHOUT_NORM = "edit=without-batchnorm; init=orthogonal"
Foresee = Callable[[nn.Module], Run]


def advise(
    model: nn.Module, forecast: Forecast, args: tuple[Any, ...], kwargs: dict[str, Any],
    foresee: Foresee, seed: int,
) -> tuple[Advice, ...]:  # fmt: skip
    """Treatments that would make it trainable, those most likely to first. What `treat_` refuses
    for this network, or cannot apply to it, is not among them.

    Args:
        forecast: of the model as it stands; nothing is advised where its chance is fine.
        foresee: a copy -> the predicted run of it.
        seed: of weights that are drawn anew.
    """
    if not forecast.chance < LIKELY or not forecast.depth:
        return ()
    if sum(p.numel() for p in model.parameters()) > LARGEST:
        return ()

    tried = []
    for text, words in _treatments(model, forecast):
        twin = _treated(model, text, (args, kwargs), seed)
        if twin is None:
            continue
        try:
            birth = Birth(View(foresee(twin)))
        except (ValueError, RuntimeError):  # a model that this does not fit
            continue
        if birth.chance >= LIKELY and not math.isnan(birth.chance):
            tried.append(Advice(text, words, birth.chance, birth.trainable_depth))
    tried.sort(key=lambda a: -a.chance)
    deep = forecast.depth >= DEEP and Birth(View(forecast.run)).worst >= DOUBT
    if deep and _treated(model, "rezero", (args, kwargs), seed) is not None:
        words = _(
            "Write each layer as x + a * f(x) with a learnt a that starts at 0 (ReZero); no chance "
            "is told, as at 0 nothing flows through f yet."
        )
        tried.append(Advice("rezero", words))
    return tuple(tried)


def _treated(model: nn.Module, text: str, batch: Any, seed: int) -> nn.Module | None:
    """A copy under the treatments; None where they are refused, or there is no copy."""
    twin = copied(model)
    if twin is None:
        return None
    twin.train()
    devices = {t.device for t in (*twin.parameters(), *twin.buffers())}
    try:
        with same_random(devices, seed):
            if text == WITHOUT_NORM:
                _take_norms_out_(twin)
                text = text.partition("; ")[2]
            treat_(twin, None, text, batch, seed=seed, keep=False)
    except (ValueError, RuntimeError):
        return None
    return twin


def _treatments(model: nn.Module, forecast: Forecast) -> Iterable[tuple[str, str]]:
    """Text and words of each to try."""
    if any(isinstance(m, _RECURRENT) for m in model.modules()):
        yield (
            "recurrent=orthogonal",
            _("Draw recurrent weights with torch.nn.init.orthogonal_(weight_hh), gate by gate."),
        )
    if forecast.depth < 2:
        return
    ops = {s.op for s in forecast.run.sites if s.kind == "activation"}
    yield (
        "init=orthogonal",
        _(
            "Draw weights with torch.nn.init.orthogonal_, each with the gain that the activation "
            "before it asks for; biases zero."
        ),
    )
    if ops & BOUNDED:
        yield (
            "init=lsuv-centred",
            _(
                "Centred LSUV: orthogonal weights, then layer by layer on a batch divide each row "
                "by the deviation of its output and set its bias to minus mean over deviation."
            ),
        )
    else:
        yield (
            "init=he",
            _("Draw weights with torch.nn.init.kaiming_normal_(weight); biases zero."),
        )
    yield (
        f"tailored={forecast.depth - 1}",
        _(
            "Replace the activations by evenflow.activations' tailored ones (depth={depth}) "
            "with orthogonal weights of gain 1."
        ).format(depth=forecast.depth - 1),
    )
    if any(isinstance(m, _NORMS) for m in model.modules()):
        yield (
            WITHOUT_NORM,
            _(
                "Leave BatchNorm out: a deep plain network's gradient explodes by it. Orthogonal "
                "weights instead."
            ),
        )


def _take_norms_out_(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _NORMS):
                setattr(parent, name, nn.Identity())
