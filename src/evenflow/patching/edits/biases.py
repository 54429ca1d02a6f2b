"""Biases of hidden layers set to one number, so that no unit begins on its dead side."""

from __future__ import annotations

from ...lang import _
from ...treatments import Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit
from ..selecting import modules, owned

_BIAS = '''
def set_biases(model):
    """Let the biases of all hidden layers begin at {level}."""
    for layer in {layers}:
        torch.nn.init.constant_(layer.bias, {level})
'''


def level(editing: Editing, p: Parsed) -> None:
    """Every hidden layer's; heads keep theirs."""
    root, view = editing.view(p)
    layers = owned([layer for layer in view.layers if layer.hidden and layer.bias])
    if not layers:
        raise Unfit(_("no hidden layer has a bias."))
    place = editing.place(root)
    template = _BIAS.format(
        level=number(p.value), layers=modules(view, [layer.path for layer in layers])
    )
    editing.run(place, template)
    editing.did(p, place.file, _("biases of hidden layers"))
