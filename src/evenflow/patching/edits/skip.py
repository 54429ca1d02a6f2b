"""Skips that start at zero: a scalar at the end of each branch, or a skip around each square
layer with its activation, by a hook of the layer."""

from __future__ import annotations

from ...lang import _
from ...treatments import KnownActivation, KnownLayer, KnownModel, Parsed
from ..editing import Editing
from ..patch import Unfit
from ..selecting import modules, names, owned, paths
from .new_activations import made
from .switch import argument, function_calls

_BRANCH_HOOK = '''
def scaled(module, args, out):
    """A branch's output times its scalar, which starts at 0 (ReZero, arXiv:2003.04887)."""
    if isinstance(out, tuple):
        return (module.alpha * out[0], *out[1:])
    return module.alpha * out
'''
_BRANCHES = '''
def add_scalars(model):
    """Let every branch begin at zero: a scalar at its end (ReZero, arXiv:2003.04887)."""
    device = next(model.parameters()).device
    for name in {names}:
        module = model.get_submodule(name)
        module.alpha = torch.nn.Parameter(torch.zeros((), device=device))
        module.register_forward_hook({hook})
'''
_SKIP_HOOK = '''
def skipped(layer, args, out):
    """x + alpha f(x), alpha 0 at first (ReZero, arXiv:2003.04887)."""
    return args[0] + layer.alpha * layer.then(out)
'''
_SKIPS = '''
def add_skips(model):
    """A skip around each layer as wide as its input, its activation within it."""
    layers = {layers}
    for layer, name in zip(layers, {activations}):
        parent, _, child = name.rpartition(".")
        layer.then = model.get_submodule(name)
        layer.alpha = torch.nn.Parameter(torch.zeros((), device=layer.weight.device))
        layer.register_forward_hook({hook})
        setattr(model.get_submodule(parent), child, torch.nn.Identity())
'''
_FUNCTIONAL = '''
def add_skips(model):
    """A skip around each layer as wide as its input, its activation within it."""
    for layer in {layers}:
        layer.then = {then}
        layer.alpha = torch.nn.Parameter(torch.zeros((), device=layer.weight.device))
        layer.register_forward_hook({hook})
'''


def rezero(editing: Editing, p: Parsed) -> None:
    """At the end of the branches there are, else around square layers."""
    _root, view = editing.view(p)
    if view.branches:
        _scalars(editing, p, view)
    else:
        _skips(editing, p, view)


def _scalars(editing: Editing, p: Parsed, view: KnownModel) -> None:
    if not all(able for _path, able in view.branches):
        raise Unfit(_("a branch ends in no module of its own."))
    place = editing.place()
    hook = editing.function(place, _BRANCH_HOOK)
    ends = list(dict.fromkeys(path for path, _able in view.branches))
    editing.run(place, _BRANCHES.format(names=names(ends), hook=hook))
    editing.did(p, place.file, _("a scalar that starts at 0 at the end of each branch"))


def _skips(editing: Editing, p: Parsed, view: KnownModel) -> None:
    by_index = {a.index: a for a in view.activations}
    layers = owned([layer for layer in view.layers if layer.then in by_index])
    pairs = [(layer, by_index[layer.then]) for layer in layers if layer.then is not None]
    if not pairs:
        raise Unfit(_("no layer with an activation after it is as wide as its input."))
    acts = [a for _layer, a in pairs]
    if all(a.module for a in acts):
        _with_modules(editing, p, view, pairs)
    elif not any(a.module for a in acts):
        _with_functions(editing, p, view, pairs)
    else:
        raise Unfit(_("some activations are modules and others functions."))


def _with_modules(
    editing: Editing,
    p: Parsed,
    view: KnownModel,
    pairs: list[tuple[KnownLayer, KnownActivation]],
) -> None:
    acts = [a for _layer, a in pairs]
    if len({a.path for a in acts}) < len(acts):
        raise Unfit(_("one activation module serves several layers."), acts[0].called)
    place = editing.place()
    template = _SKIPS.format(
        layers=modules(view, [layer.path for layer, _a in pairs]),
        activations=paths(view, [a.path for a in acts]),
        hook=editing.function(place, _SKIP_HOOK),
    )
    editing.run(place, template)
    editing.did(p, place.file, _("skips that start at zero"))


def _with_functions(
    editing: Editing,
    p: Parsed,
    view: KnownModel,
    pairs: list[tuple[KnownLayer, KnownActivation]],
) -> None:
    """The calls go where the layers are called; the layers' hooks do their work."""
    acts = [a for _layer, a in pairs]
    chosen = {a.index for a in acts}
    spots = {a.called for a in acts}
    kinds = {(a.op, tuple(a.parameters.items())) for a in acts}
    stay = [a for a in view.activations if a.index not in chosen and a.called in spots]
    if len(kinds) > 1 or None in spots or stay:
        raise Unfit(_("one line calls the activation of square layers and of others."))
    calls = [c for s in spots if s is not None for c in function_calls(editing, s, acts[0].op)]
    place = editing.place()
    template = _FUNCTIONAL.format(
        layers=modules(view, [layer.path for layer, _a in pairs]),
        then=made(acts[0].op, acts[0].parameters).module,
        hook=editing.function(place, _SKIP_HOOK),
    )
    editing.run(place, template)
    for file, call in calls:
        file.replace(call, argument(file, call))
        editing.did(p, file, _("the activation's call, which is within the skip now"))
    editing.did(p, place.file, _("skips that start at zero"))
