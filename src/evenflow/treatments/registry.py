"""Which treatments there are, and which of them a finding calls for. No torch.

Courses are proposed best first, given the architecture. Figures: 50 plain layers on digits, mean of
three seeds (the project's theory notes, section 5). Sigmoid: centred LSUV 95.9 %, BatchNorm 93.8 %,
ReZero 94 %; Xavier, LayerNorm 8.8 %. ReLU: ReZero 96.8 %, tailored 95.3 %, He 81.1 %. Tanh:
orthogonal and tailored.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..schema import Finding
from . import (
    all_parameters,
    attend,
    bias,
    clip,
    dropout,
    edits,
    initial,
    lsuv,
    norm,
    qk_norm,
    rate,
    recurrent,
    revive,
    rezero,
    shrink,
    standardise,
    swap,
    tailor,
)
from .base import Entry, Facts

#: Every treatment's file, in the order in which treatments of one text are applied, whatever order
#: the text has: structure first, then weights, then steps.
_FILES = (
    *(standardise, recurrent, swap, tailor, norm, rezero, dropout, attend, qk_norm),
    *(initial, lsuv, bias, revive, all_parameters),
    *(shrink, clip, rate, edits),
)
#: One entry a treatment: kinds with a fixed method ("init=he") have one for each method.
REGISTRY: dict[str, Entry] = {e.name: e for file in _FILES for e in file.ENTRIES}

#: Beyond so many layers centred LSUV alone does not train sigmoids (measured: not at 300).
LSUV_REACH = 100
#: Beyond so many layers tanh is tailored rather than left as it is (measured at 1,000, after four
#: epochs at the best rate of each: 96 % and 87 %).
TANH_REACH = 100
#: Layers that a script's learning rate is taken to have been meant for.
MEANT_FOR = 30
Choice = Callable[[Finding, Facts], list[str]]

_CLIP = "clip=norm:1.0"
_RATES = ["lr=x0.1", "lr=x0.03", "lr=x0.3", "lr=x0.01"]
_CALM = [*_RATES[:2], _CLIP, "warmup=100", "lr=x0.3", f"lr=x0.1; {_CLIP}"]


def kinds() -> list[str]:
    """What may stand before "=", in the order of application.

    >>> from evenflow.treatments import kinds
    >>> kinds().index("norm") < kinds().index("init") < kinds().index("clip")
    True
    """
    return list(dict.fromkeys(e.kind for e in REGISTRY.values()))


def of(finding: Finding, facts: Facts) -> list[str]:
    """Texts of courses for one finding; its cause speaks first. Unknown codes give none."""
    texts: list[str] = []
    for code in (finding.cause, finding.code):
        choice = TABLE.get(code, [])
        texts += choice if isinstance(choice, list) else choice(finding, facts)
    return list(dict.fromkeys(texts))


def _slowed(text: str, facts: Facts) -> list[str]:
    """The same at the rate that great depth asks for, first, and at the script's own.

    All layers move at once, so that the step that an output can bear falls as 1/depth (Saxe et al.
    2013, arXiv:1312.6120, section 2; measured with Adam: 3e-4 for 50 layers, 1e-5 for 1,000). A
    guess to begin with: the trials go on from it, down and up.
    """
    if facts.depth <= 10 * MEANT_FOR:
        return [text]
    half_decades = round(2 * math.log10(facts.depth / MEANT_FOR))
    return [f"{text}; lr=x{10 ** (-half_decades / 2):.3g}", text]


def _start(f: Finding, facts: Facts) -> list[str]:
    """A new start for the network as it is."""
    if facts.recurrent and not facts.skips:
        return _time(f, facts)
    if facts.skips:
        return ["rezero", "warmup=100", *_RATES[:1], "init=lsuv", "init=orthogonal", _CLIP]
    act = facts.activation
    if act == "sigmoid":
        swapped = "activation=sigmoid->centred_sigmoid; init=orthogonal"
        centred = ["init=lsuv-centred", swapped]
        if facts.depth > LSUV_REACH:
            return [*_slowed("tailored=auto", facts), swapped, "rezero", "init=lsuv-centred"]
        return [*centred, "norm=batch", "rezero", "tailored=auto", "init=xavier"]
    if act == "tanh":
        conv = ["init=delta-orthogonal"] if facts.convolution else []
        both = ["init=orthogonal", "tailored=auto"]
        if facts.depth > TANH_REACH:
            both = [*_slowed("tailored=auto", facts), "init=orthogonal"]
        return [*conv, *both, "init=lsuv-centred", "rezero", "norm=batch", "init=xavier"]
    if act == "selu":
        return ["init=lecun", "init=lsuv", "init=orthogonal", "rezero"]
    if act in ("relu", "leaky_relu", "relu6"):
        if facts.deep:
            rest = ["init=lsuv", "init=he", "norm=batch", "init=lsuv-centred"]
            return [*_slowed("tailored=auto", facts), "rezero", *rest]
        return ["init=he", "init=lsuv", "norm=batch", "norm=layer", "rezero"]
    return ["init=orthogonal", "init=lsuv", "rezero", "norm=layer", "norm=batch"]


def _time(f: Finding, facts: Facts) -> list[str]:
    """Through time."""
    plain = facts.recurrent & {"rnn_tanh", "rnn_relu"}
    gated = ["recurrent=lstm", "recurrent=gru"] if plain else []
    gates = ["recurrent=forget-bias:1"] if any("lstm" in op for op in facts.recurrent) else []
    orthogonal = f"recurrent=orthogonal; {_CLIP}"
    return [orthogonal, *gates, *gated, "recurrent=orthogonal", _CLIP, "edit=truncate"]


def _vanishing(f: Finding, facts: Facts) -> list[str]:
    rest = ["optimizer=adam:0.001"] if facts.adaptive is False else []
    truncated = ["edit=truncate"] if facts.recurrent else []
    return [*_start(f, facts), *rest, *truncated]


def _exploding(f: Finding, facts: Facts) -> list[str]:
    if facts.recurrent and not facts.skips:
        return [_CLIP, *_time(f, facts), "recurrent=truncate:20", *_RATES[:1]]
    return [_CLIP, *_start(f, facts), f"init=lsuv; {_CLIP}", *_RATES[:2], "clip=agc:0.01"]


def _disconnected(f: Finding, facts: Facts) -> list[str]:
    if f.cause in ("zero-init", "EF605"):
        return _start(f, facts)
    return ["edit=connect"]


def _saturated(f: Finding, facts: Facts) -> list[str]:
    rest = ["norm=batch", "input=standardise", *_RATES[:1], "l2=1e-4"]
    bounded = facts.activation in ("sigmoid", "tanh")
    swap = [f"activation={facts.activation}->relu; init=he"] if bounded else []
    return [*_start(f, facts), *rest, *swap]


def _dead(f: Finding, facts: Facts) -> list[str]:
    source = facts.activation if facts.activation in ("relu", "relu6") else ""
    leaky = f"activation={source}->leaky_relu:0.1" if source else ""
    swaps = [leaky, f"{leaky}; init=he", f"{leaky}; lr=x0.1"] if source else []
    others = [f"activation={source}->gelu"] if source else []
    return [*swaps[:1], "init=he; lr=x0.1", *swaps[1:], *_RATES[:1], "revive=0", "init=he",
            "warmup=100", "bias=0", *others]  # fmt: skip


def _attention(f: Finding, facts: Facts) -> list[str]:
    start = ["attention=max-norm", "init=xavier", "init=lsuv"] if facts.step == 0 else []
    norms = ["attention=sigma-reparam", "attention=qk-norm"]
    return [*start, "warmup=100", *norms, *_RATES[:2], _CLIP]


def _slow(f: Finding, facts: Facts) -> list[str]:
    rest = ["optimizer=adam:0.001"] if facts.adaptive is not True else []
    momentum = ["momentum=0.9"] if facts.adaptive is not True else []
    return ["lr=x10", *rest, *momentum, "lr=x100", "lr=x3", "input=standardise"]


def _target(f: Finding, facts: Facts) -> list[str]:
    mean, std = f.evidence.get("target_mean"), f.evidence.get("target_std")
    out = []
    if mean is not None and std is not None and math.isfinite(mean) and 0 < std < math.inf:
        text = f"target=standardise:{mean:.6g}:{std:.6g}"
        out = [text, f"{text}; input=standardise"] if facts.floating else [text]
    return [*out, "edit=target-scale", *_RATES[:1], _CLIP]


def _untrained(f: Finding, facts: Facts) -> list[str]:
    return ["edit=build-once"] if f.cause == "made-anew" else ["parameters=all"]


#: Code, or cause -> what it calls for. Every code of the rules has its line; a test holds that.
TABLE: dict[str, list[str] | Choice] = {
    "EF101": _vanishing,
    "EF102": _exploding,
    "EF103": [*_RATES[:2], _CLIP, "init=lsuv", "input=standardise"],
    "EF104": _disconnected,
    "EF105": ["edit=dtype"],
    "EF201": _saturated,
    "EF202": _dead,
    "EF203": lambda f, facts: [*_saturated(f, facts), "l1=1e-5"],
    "EF204": _attention,
    "EF205": _start,
    "EF206": [*_RATES[:1], "init=lsuv", "rezero", "norm=layer", "norm=batch", _CLIP, "l2=1e-4"],
    "EF207": ["edit=kl-weight"],
    "EF208": [
        *("attention=qk-norm", "attention=sigma-reparam", "warmup=100"),
        *(*_RATES[:2], "l2=1e-4"),
    ],
    "EF209": ["init=lsuv", "bias=0", "edit=dtype"],
    "EF211": ["edit=balance"],
    "EF301": lambda f, facts: [*_vanishing(f, facts), "lr=x10"],
    "EF302": _CALM,
    "EF303": ["edit=float32"],
    "EF401": [*_RATES[:1], "lr=x10", "optimizer=adam:0.001", "init=lsuv", "lr=x0.01"],
    "EF402": [*_CALM, "clip=z:2.5", "clip=agc:0.01", "input=clamp:10"],
    "EF403": ["lr=x0.3", "lr=x0.1", "momentum=0.5", "lr=x0.03", _CLIP],
    "EF404": _slow,
    "EF405": ["edit=judge"],
    "EF407": ["edit=labels"],
    "EF501": [
        *("input=standardise", "input=standardise:running", "input=minmax"),
        *(*_RATES[:1], "norm=batch"),
    ],
    "EF502": [
        *("input=clamp:10", "input=clamp:10; input=standardise", "clip=z:2.5", _CLIP),
        "edit=clean-data",
    ],
    "EF503": ["edit=clean-data"],
    "EF504": _target,
    "EF505": ["edit=shuffle"],
    "EF506": ["edit=class-weights"],
    "EF507": ["edit=inputs"],
    "EF601": _start,
    "EF602": lambda f, facts: [*_start(f, facts), "input=standardise"],
    "EF603": lambda f, facts: ["init=he", "bias=0", "input=standardise", *_dead(f, facts)],
    "EF604": _start,
    "EF605": _start,
    "EF701": ["edit=logits"],
    "EF702": ["edit=nonlinearity"],
    "EF703": _CALM,
    "EF704": _untrained,
    "EF801": ["edit=step"],
    "EF802": ["edit=step"],
    "EF804": ["edit=axis"],
    "EF805": ["edit=train-mode"],
    "EF806": ["edit=norm"],
    "EF807": ["edit=connect"],
    "EF808": ["edit=axis"],
    "EF809": ["edit=causal"],
    "EF803": ["edit=shapes"],
    "EF810": ["edit=average", *_RATES[:2]],
    "EF812": ["edit=decay"],
    "EF811": lambda f, facts: ["edit=clip", *_slow(f, facts)],
    # causes that are no codes
    "learning-rate-too-high": _CALM,
    "learning-rate-too-low": ["lr=x10", "lr=x100", "lr=x3"],
    "learning-rate-decayed": ["lr=x10", "lr=x3"],
    "learning-rate-zero": ["lr=0.001"],
    "negative-bias": ["bias=0", "init=he"],
    "zero-init": _start,
    "depth-times-activation": _start,
    "depth-times-weights": _start,
    "through-time": _time,
    "dtype": ["edit=dtype"],
}
