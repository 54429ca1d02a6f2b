"""Normalisation between hidden layers and their activations: a child of each layer, by a hook.

Names of parameters stay as they are, whatever way the model is written.
"""

from __future__ import annotations

from ...lang import _
from ...treatments import KnownLayer, Parsed
from ..editing import Editing
from ..patch import Unfit
from ..selecting import modules, owned

_HOOK = '''
def normalised(layer, args, out):
    """A layer's output through its own normalisation."""
    return layer.norm(out)
'''
_NORM = '''
def add_norms(model):
    """{about} between each hidden layer and its activation."""
    for layer in {layers}:
        layer.norm = {made}.to(layer.weight.device)
        layer.register_forward_hook({hook})
'''
_ABOUT = {
    "batch": "Batch normalisation",
    "layer": "Layer normalisation",
    "group": "Group normalisation",
    "rms": "RMS normalisation",
}


def norm(editing: Editing, p: Parsed) -> None:
    """Batch, layer, group or RMS normalisation."""
    root, view = editing.view(p)
    layers = owned([layer for layer in view.layers if layer.normable])
    if not layers:
        raise Unfit(_("no hidden layer feeds an activation without normalisation."))
    place = editing.place(root)
    hook = editing.function(place, _HOOK)
    for made in dict.fromkeys(_made(p, layer) for layer in layers):
        mine = [layer.path for layer in layers if _made(p, layer) == made]
        template = _NORM.format(
            about=_ABOUT[p.entry.method], layers=modules(view, mine), made=made, hook=hook
        )
        editing.run(place, template)
    editing.did(p, place.file, _("a normalisation after each hidden layer"))


def _made(p: Parsed, layer: KnownLayer) -> str:
    kind, conv = p.entry.method, layer.cls != "Linear"
    size = "layer.out_channels" if conv else "layer.out_features"
    channels = layer.output[1 if conv else -1]
    if kind == "batch":
        dims = max(1, len(layer.output) - 2) if conv else 1
        return f"torch.nn.BatchNorm{dims}d({size})"
    if kind == "group" or conv:
        most = p.value or 1
        groups = max(g for g in range(1, most + 1) if channels % g == 0)
        return f"torch.nn.GroupNorm({groups}, {size})"
    return f"torch.nn.{'RMSNorm' if kind == 'rms' else 'LayerNorm'}({size})"
