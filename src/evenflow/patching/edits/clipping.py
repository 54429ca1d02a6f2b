"""Gradients kept in bounds, right before the optimizer steps."""

from __future__ import annotations

from collections.abc import Callable

from ...lang import N_, _
from ...treatments import Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit
from ..step_place import StepPlace

_UNITS = '''
def clip_units(model, share, heads):
    """Hold each unit's gradient to a share of its weights' norm (AGC, arXiv:2102.06171)."""
    for name, p in model.named_parameters():
        if p.grad is None or name in heads:
            continue
        dims = tuple(range(1, p.dim())) or None
        weight = torch.linalg.vector_norm(p.detach(), dim=dims, keepdim=True)
        gradient = torch.linalg.vector_norm(p.grad, dim=dims, keepdim=True)
        most = share * weight.clamp_min(1e-3)
        shrunk = most / gradient.clamp_min(1e-30)
        p.grad.mul_(torch.where(gradient > most, shrunk, torch.ones_like(shrunk)))
'''
_BY_Z = '''
def clip_by_z(optimizer, threshold):
    """Bring gradient norms far above their running mean back to it (ZClip, arXiv:2504.02507)."""
    seen, known = [], {}

    def limit(norm):
        if not known:
            seen.append(norm)
            if len(seen) >= 25:
                known["mean"] = sum(seen) / len(seen)
                known["var"] = sum((n - known["mean"]) ** 2 for n in seen) / len(seen)
            return norm
        std = known["var"] ** 0.5
        z = (norm - known["mean"]) / (std + 1e-6)
        allowed = known["mean"] + threshold**2 / z * std if z > threshold else norm
        known["mean"] = 0.97 * known["mean"] + (1 - 0.97) * allowed
        known["var"] = 0.97 * known["var"] + (1 - 0.97) * (allowed - known["mean"]) ** 2
        return allowed

    def before(optimizer, args, kwargs):
        gradients = [p.grad for g in optimizer.param_groups for p in g["params"]]
        gradients = [g for g in gradients if g is not None and not g.is_sparse]
        if not gradients:
            return
        norms = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
        norm = float(torch.linalg.vector_norm(norms))
        wanted = limit(norm) if norm < float("inf") else norm
        if wanted < norm:
            for gradient in gradients:
                gradient.mul_(wanted / norm)

    optimizer.register_step_pre_hook(before)
'''


def above_step(editing: Editing, p: Parsed, line: Callable[[StepPlace], str], what: str) -> None:
    """Put a line above each `step`, after the gradients have been unscaled."""
    places = editing.steps()
    for place in places:
        place.fit()
    for place in places:
        said = line(place)
        if place.scaler and f"{place.scaler}.unscale_(" not in place.file.text:
            unscale = f"{place.scaler}.unscale_({place.optimizer})"
            if unscale not in place.lines:
                place.lines.append(unscale)
        place.lines.append(said)
        editing.did(p, place.file, what)


def of_torch(function: str, what: str) -> Callable[[Editing, Parsed], None]:
    """Torch's own clipping of all gradients by a threshold."""

    def edit(editing: Editing, p: Parsed) -> None:
        made = editing.optimizers()
        above_step(
            editing,
            p,
            lambda s: f"torch.nn.utils.{function}({s.parameters(made)}, {_float(p.value)})",
            _(what),
        )

    return edit


def units(editing: Editing, p: Parsed) -> None:
    """Unit by unit against the weights, the head left out."""
    _root, view = editing.view(p)
    if len(editing.known.roots) > 1:
        raise Unfit(_("several models are trained, each with a head of its own."))
    heads = []
    for layer in view.layers:
        if not layer.hidden:
            names = ("weight", "bias") if layer.bias else ("weight",)
            heads += [f'"{layer.path}.{name}"' if layer.path else f'"{name}"' for name in names]
    made = editing.optimizers()

    def line(place: StepPlace) -> str:
        model = place.model(made[0])
        if model is None:
            said = _("the model whose gradients these are is not in sight at the step.")
            raise Unfit(said, place.spot)
        function = editing.names(place.file).function(_UNITS, place.statement)
        return f"{function}({model}, {number(p.value)}, [{', '.join(heads)}])"

    above_step(editing, p, line, _("each unit's gradient clipped before each step"))


def outliers(editing: Editing, p: Parsed) -> None:
    """Against the running distribution of norms: by a hook of the optimizer, which keeps it."""
    for call in editing.optimizers():
        name = call.name()
        function = editing.names(call.home_file).function(_BY_Z, call.home)
        call.below.append(f"{function}({name}, {number(p.value)})")
        editing.did(p, call.file, _("outlying gradient norms clipped at each step"))


def _float(x: float) -> str:
    text = number(x)
    return text if set(text) & set(".e") else f"{text}.0"


EDITS = {
    "clip=norm": of_torch(
        "clip_grad_norm_", N_("gradients clipped by their norm before each step")
    ),
    "clip=value": of_torch(
        "clip_grad_value_", N_("gradients clipped element by element before each step")
    ),
    "clip=agc": units,
    "clip=z": outliers,
}
