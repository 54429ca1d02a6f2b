"""Inputs and targets put to scale inside the model, by constants measured on the training data."""

from __future__ import annotations

import struct

from ...lang import _
from ...treatments import KnownInput, Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit

_SCALE = '''
def scale_inputs(model):
    """{about}"""
    layer = {first}
    device = next(model.parameters()).device
{constants}

    def scaled(layer, args):
        x = args[0]
        return ({formula}, *args[1:])

    layer.register_forward_pre_hook(scaled)
'''
_FIRST = '''
def scale_inputs(model):
    """{about}"""
    layer = {first}
    layer.register_buffer("input_shift", None)
    layer.register_buffer("input_scale", None)

    def measured(x):
        rows = x.detach().float(){rows}
        shift, scale = {measured}
        sound = scale > 1e-6 * shift.abs().clamp_min(1e-30)
        return shift{shape}, torch.where(sound, scale, 1.0){shape}

    def scaled(layer, args):
        x, learning = args[0], layer.training and torch.is_grad_enabled()
        if layer.input_shift is None:
            if not learning:
                return None
            layer.input_shift, layer.input_scale = measured(x)
{running}        return ((x - layer.input_shift) / layer.input_scale, *args[1:])

    layer.register_forward_pre_hook(scaled)
'''
_RUNNING = """\
            layer.register_buffer("input_seen", torch.tensor(2.0))
        elif learning and layer.input_seen < 100:
            shift, scale = measured(x)
            share = 1 / (layer.input_seen + 1)
            layer.input_shift.lerp_(shift, share)
            layer.input_scale.lerp_(scale, share)
            layer.input_seen.add_(1)
"""
_MEASURED = {
    "standardise": "rows.mean(0), (rows - rows.mean(0)).square().mean(0).sqrt()",
    "minmax": "rows.amin(0), rows.amax(0) - rows.amin(0)",
}
_TARGET = '''
def scale_outputs(model):
    """Let the model learn (target - {mean}) / {std}; its outputs are in the target's units."""

    def in_units(layer, args, out):
        if out.requires_grad:
            out = out.view_as(out)
            out.register_hook(lambda gradient: gradient * {std}**-2)
        return {mean} + {std} * out

    {last}.register_forward_hook(in_units)
'''
_ABOUT = {
    "standardise": "Each input feature to mean 0 and deviation 1",
    "minmax": "Each input feature to [0, 1]",
    "clamp": "Each input feature held within {width} robust deviations",
}


def inputs(editing: Editing, p: Parsed) -> None:
    """By the first training batch's numbers: written down where they are few, else taken by a
    hook from the first batch that comes."""
    root, view = editing.view(p)
    given = view.input
    if given is None or not given.floating or given.dims < 2:
        raise Unfit(_("the model's first input is no tensor of real numbers with samples."))
    place = editing.place(root)
    about = _ABOUT[p.value.kind].format(width=number(p.value.width))
    first = _module(view.first)
    if given.shift and not p.value.running:
        template = _SCALE.format(
            about=f"{about} of the first training batch.",
            first=first,
            **_constants(given, p.value.kind),
        )
    elif p.value.kind in _MEASURED:
        wide = given.dims >= 4
        rows = ".movedim(1, -1).flatten(0, -2)" if wide else ".flatten(0, -2)"
        shape = f".view({', '.join(['1', '-1', *['1'] * (given.dims - 2)])})" if wide else ""
        template = _FIRST.format(
            about=f"{about}, by the first training batch{'es' if p.value.running else ''}.",
            first=first,
            rows=rows,
            shape=shape,
            measured=_MEASURED[p.value.kind],
            running=_RUNNING if p.value.running else "",
        )
    else:
        raise Unfit(_("there are too many features to write their bounds down."))
    editing.run(place, template)
    editing.did(p, place.file, _("inputs put to scale on their way in"))


def _constants(given: KnownInput, kind: str) -> dict[str, str]:
    pair = ("low", "high") if kind == "clamp" else ("shift", "scale")
    shape = [1] * given.dims
    shape[1 if given.dims >= 4 else given.dims - 1] = -1
    view = "" if given.dims <= 2 else f".view({', '.join(map(str, shape))})"
    lines = []
    for name in pair:
        numbers = ", ".join(map(_single, getattr(given, name)))
        made = f"torch.tensor([{numbers}], device=device){view}"
        lines.append(f'    layer.register_buffer("input_{name}", {made})')
    formula = "(x - layer.input_shift) / layer.input_scale"
    if kind == "clamp":
        formula = "torch.minimum(torch.maximum(x, layer.input_low), layer.input_high)"
    return {"constants": "\n".join(lines), "formula": formula}


def _single(x: float) -> str:
    """The shortest text that is this float32."""
    wanted = struct.pack("f", x)
    for digits in range(1, 10):
        text = f"{x:.{digits}g}"
        if struct.pack("f", float(text)) == wanted:
            return text if set(text) & set(".en") else f"{text}.0"
    return repr(x)


def targets(editing: Editing, p: Parsed) -> None:
    """The gradient is what standardised targets would give under a squared error."""
    root, view = editing.view(p)
    if not view.tensor:
        raise Unfit(_("the model returns no single tensor."))
    place = editing.place(root)
    template = _TARGET.format(
        mean=number(p.value.mean), std=number(p.value.std), last=_module(view.last)
    )
    editing.run(place, template)
    editing.did(p, place.file, _("outputs in the target's units"))


def _module(path: str) -> str:
    return f'model.get_submodule("{path}")' if path else "model"
