"""Parameters that no optimizer holds, given to the one there is at the first forward."""

from __future__ import annotations

from ...lang import _
from ...treatments import Parsed
from ..editing import Editing
from ..patch import Unfit

_ADOPT = '''
def train_all(model, optimizer):
    """Give the optimizer every parameter of the model that it does not hold."""

    def add(model, args):
        waiting.remove()
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        missing = [p for p in model.parameters() if p.requires_grad and id(p) not in held]
        optimizer.param_groups[-1]["params"].extend(missing)

    waiting = model.register_forward_pre_hook(add)
'''


def everything(editing: Editing, p: Parsed) -> None:
    """At the first forward, as layers may be built after the optimizer."""
    root, _view = editing.view(p)
    calls = editing.optimizers()
    place = editing.place(root)
    if len(calls) != 1 or calls[0].home is not place.statement or not place.above:
        raise Unfit(_("no single line makes the optimizer with the model in sight."))
    function = editing.function(place, _ADOPT)
    calls[0].below.append(f"{function}({place.model}, {calls[0].name()})")
    editing.did(p, place.file, _("all parameters given to the optimizer"))
