"""Dropout at the inputs of layers that read activations, its masks from a generator of its own."""

from __future__ import annotations

from ...lang import _
from ...treatments import Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit
from ..selecting import modules, owned

_DROP = '''
def drop_inputs(model, optimizer):
    """{about}

    Masks depend on layer and update alone: the data come in the same order as without.
    """
    updates = [0]

    def drop(layer, args):
        if not layer.training:
            return None
        x = args[0]
        generator = torch.Generator(x.device)
        place = layers.index(layer)
        generator.manual_seed(hash((0, place, updates[0])) & (2**63 - 1))
        keep = torch.rand(x.shape, generator=generator, device=x.device) >= {share}
        return ({dropped}, *args[1:])

    def count(optimizer, args, kwargs):
        updates[0] += 1

    layers = {layers}
    for layer in layers:
        layer.register_forward_pre_hook(drop)
    optimizer.register_step_post_hook(count)
'''
#: -λα of SELU: what a dropped unit is set to (Klambauer et al. 2017, arXiv:1706.02515).
_LOW = -1.7580993408473766


def dropout(editing: Editing, p: Parsed) -> None:
    """Plain, or alpha dropout that keeps SELU's mean and variance."""
    root, view = editing.view(p)
    layers = owned([layer for layer in view.layers if layer.dropped])
    if not layers:
        raise Unfit(_("no layer reads an activation that has no dropout yet."))
    calls = editing.optimizers()
    place = editing.place(root)
    if len(calls) != 1 or calls[0].home is not place.statement or not place.above:
        raise Unfit(_("no single line makes the optimizer with the model in sight."))
    share = p.value.share
    about = f"Dropout of {number(share)} before each layer that reads an activation."
    dropped = f"torch.where(keep, x / (1 - {number(share)}), torch.zeros_like(x))"
    if p.value.alpha:
        q = 1 - share
        a = float((q * (1 + share * _LOW**2)) ** -0.5)
        b = float(-a * share * _LOW)
        about = f"Alpha dropout of {number(share)} (arXiv:1706.02515)."
        dropped = f"{a!r} * torch.where(keep, x, {_LOW!r}) + {b!r}"
    template = _DROP.format(
        about=about,
        share=number(share),
        dropped=dropped,
        layers=modules(view, [layer.path for layer in layers]),
    )
    function = editing.function(place, template)
    calls[0].below.append(f"{function}({place.model}, {calls[0].name()})")
    editing.did(p, place.file, _("dropout before layers that read activations"))
