"""Weights drawn anew: a short function, called once the model is made and before its optimizer.

A generator of its own keeps the script's random numbers, and so its data order, as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from ...lang import _
from ...treatments import KnownLayer, KnownModel, Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit
from ..selecting import each, modules, owned

_DRAW = '''
def draw_weights(model):
    """{about}"""
    generator = torch.Generator().manual_seed({seed})
    layers = {layers}
    for layer in layers:
        gain = {gain}
        weight = torch.empty(layer.weight.shape)
{draw}
        with torch.no_grad():
            layer.weight.copy_(weight)
{bias}
'''
_ATTENTION = """
    for module in {attentions}:
        parts = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        if module.in_proj_weight is not None:
            parts = module.in_proj_weight.detach().chunk(3)
        for part in (*parts, module.out_proj.weight):
            gain = {factor}
            weight = torch.empty(part.shape)
{draw}
            with torch.no_grad():
                part.copy_(weight)
        for bias in (module.in_proj_bias, module.out_proj.bias):
            if bias is not None:
                torch.nn.init.zeros_(bias)
"""
_NORMAL = "        weight.normal_(0, gain / {fan} ** 0.5, generator=generator)"
ORTHOGONAL = """\
        torch.nn.init.orthogonal_(weight, generator=generator)
        weight *= max(1.0, len(weight) / weight[0].numel()) ** 0.5 * gain"""
_DELTA = """\
        if weight.dim() == 2:
            torch.nn.init.orthogonal_(weight, generator=generator)
            weight *= max(1.0, len(weight) / weight[0].numel()) ** 0.5 * gain
        else:
            centre = torch.empty(weight.shape[:2])
            torch.nn.init.orthogonal_(centre, generator=generator)
            centre *= max(1.0, len(weight) / weight.shape[1]) ** 0.5
            kernels = weight.zero_().flatten(2)
            kernels[:, :, kernels.shape[2] // 2] = centre * gain"""
_FAN_IN, _FAN_BOTH = "weight[0].numel()", "((weight[0].numel() + weight[:, 0].numel()) / 2)"

#: layer -> (gain, deviation of its bias).
Gains = Callable[[KnownLayer], tuple[float, float]]


def start(
    editing: Editing, p: Parsed, draw: str, about: str, gains: Gains, view: KnownModel | None = None
) -> None:
    """Put `draw_weights` into the script and call it."""
    root, known = editing.view(p)
    view = view or known
    layers = owned(view.layers)
    if not layers:
        raise Unfit(_("no layer has a weight."))
    place = editing.place(root)
    numbers = [gains(layer) for layer in layers]
    gain = each([number(gain) for gain, _std in numbers])
    template = _DRAW.format(
        seed=editing.seed(p),
        about=about,
        layers=modules(view, [layer.path for layer in layers]),
        gain=gain,
        draw=draw,
        bias=_biases(layers, [std for _gain, std in numbers]),
    )
    attending = attentions(view)
    if attending:
        template = template.rstrip("\n") + _ATTENTION.format(
            attentions=modules(view, attending),
            factor=number(1.0 if p.value is None or p.entry.kind != "init" else p.value),
            draw="\n".join(f"    {line}" for line in draw.split("\n")),
        )
    elif gain == "1":
        template = template.replace("        gain = 1\n", "")
        template = template.replace(" * gain", "").replace("gain / ", "1.0 / ")
    editing.run(place, template)
    editing.did(p, place.file, _("weights drawn anew before the training"))


def _biases(layers: Sequence[KnownLayer], stds: list[float]) -> str:
    with_bias = [layer.bias for layer in layers]
    deep = "            "
    lines = ["layer.bias.zero_()"]
    if any(stds):
        lines.append(f"spread = {each(list(map(number, stds)))}")
        lines.append("if spread:")
        lines.append("    drawn = torch.empty(layer.bias.shape)")
        lines.append("    layer.bias.copy_(drawn.normal_(0, spread, generator=generator))")
    if not any(with_bias):
        return f"{deep}pass" if not layers else ""
    if not all(with_bias):
        lines = ["if layer.bias is not None:", *(f"    {line}" for line in lines)]
    return "\n".join(deep + line for line in lines)


def attentions(view: KnownModel) -> list[str]:
    """Modules that hold their four projections in parameters no layer's call shows."""
    found = (a.path for a in view.attention if a.cls == "MultiheadAttention")
    return list(dict.fromkeys(found))


def critical(layer: KnownLayer, factor: float) -> tuple[float, float]:
    """Gain and deviation of the bias at criticality. Unfit where there is none."""
    if layer.uncritical:
        raise Unfit(layer.uncritical)
    gain = math.sqrt(layer.sw2) * factor
    near = round(gain, 9)  # what solving has left in the last digits is lost in float32 anyway
    return near if abs(gain - near) < 1e-12 else gain, math.sqrt(layer.sb2)


def _he(editing: Editing, p: Parsed) -> None:
    def gains(layer: KnownLayer) -> tuple[float, float]:
        return math.sqrt(layer.he) * p.value, 0.0

    about = "Normal weights of variance 2/fan_in after rectifiers (arXiv:1502.01852)."
    start(editing, p, _NORMAL.format(fan=_FAN_IN), about, gains)


def _plain(editing: Editing, p: Parsed, *, fan: str, about: str) -> None:
    start(editing, p, _NORMAL.format(fan=fan), about, lambda layer: (p.value, 0.0))


def _critical(editing: Editing, p: Parsed, *, draw: str, about: str) -> None:
    start(editing, p, draw, about, lambda layer: critical(layer, p.value))


EDITS: dict[str, Callable[[Editing, Parsed], None]] = {
    "init=he": _he,
    "init=xavier": partial(
        _plain,
        fan=_FAN_BOTH,
        about="Normal weights of variance 2/(fan_in + fan_out), biases 0 (Glorot 2010).",
    ),
    "init=lecun": partial(
        _plain, fan=_FAN_IN, about="Normal weights of variance 1/fan_in, biases 0 (LeCun 1998)."
    ),
    "init=orthogonal": partial(
        _critical,
        draw=ORTHOGONAL,
        about="Orthogonal weights, of the gain that the activation asks for.",
    ),
    "init=delta-orthogonal": partial(
        _critical,
        draw=_DELTA,
        about="Kernels that are orthogonal in their centre, 0 elsewhere (arXiv:1806.05393).",
    ),
    "init=critical": partial(
        _critical,
        draw=_NORMAL.format(fan=_FAN_IN),
        about="Normal weights at criticality for the activation (arXiv:1611.01232).",
    ),
}
