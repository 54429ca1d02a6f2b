"""Other activations between the layers: where modules are made, where functions are called, or,
where neither shows, by the modules' names once the model is whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from ...lang import _
from ...treatments import KnownActivation, KnownLayer, KnownModel, Parsed, Spot
from ..editing import Editing
from ..patch import Unfit
from ..script_file import ScriptFile
from ..selecting import paths
from ..targets import last_name
from .draw import ORTHOGONAL, critical, start
from .new_activations import NewActivation, made
from .new_activations import tailored as tailored_to

#: What each activation becomes when it is tailored.
TAILORED = {
    "relu": "tailored_leaky_relu",
    "leaky_relu": "tailored_leaky_relu",
    "tanh": "tailored_tanh",
    "sigmoid": "tailored_tanh",
}
_SWAP = '''
def swap_activations(model):
    """Put another activation in the place of those between the layers."""
    for name in {names}:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, {new})
'''


def swap(editing: Editing, p: Parsed) -> None:
    """All hidden activations of one kind."""
    _root, view = editing.view(p)
    chosen = [a for a in view.activations if a.hidden and a.op == p.value.old]
    new = made(p.value.new, p.value.parameters)
    exchange(editing, p, view, chosen, lambda a: new)


def tailored(editing: Editing, p: Parsed) -> None:
    """Activations bent to the depth, with orthogonal weights."""
    _root, view = editing.view(p)
    depth = view.depth if p.value is None else p.value
    chosen = [a for a in view.activations if a.hidden and a.op in TAILORED]
    exchange(editing, p, view, chosen, lambda a: tailored_to(TAILORED[a.op], depth))

    def gains(layer: KnownLayer) -> tuple[float, float]:
        return (1.0, 0.0) if layer.fed in TAILORED or not layer.fed else critical(layer, 1.0)

    if not any(q.entry.kind == "init" for q in editing.course):  # which draws them all anew
        about = "Orthogonal weights, as the activations ask for."
        start(editing, p, ORTHOGONAL, about, gains, view)


def exchange(
    editing: Editing,
    p: Parsed,
    view: KnownModel,
    chosen: Sequence[KnownActivation],
    new_for: Callable[[KnownActivation], NewActivation],
) -> None:
    """Put a new activation in the place of each of the chosen calls."""
    if not chosen:
        raise Unfit(_("no activation between layers was seen."))
    modules = [a for a in chosen if a.module]
    functions = [a for a in chosen if not a.module]
    for op in dict.fromkeys(a.op for a in functions):
        if _by_reference(editing, p, view, [a for a in functions if a.op == op], new_for):
            functions = [a for a in functions if a.op != op]
    plans = _calls(editing, view, functions)
    for op in dict.fromkeys(a.op for a in modules):
        mine = [a for a in modules if a.op == op]
        _modules(editing, p, view, mine, new_for(mine[0]))
    for file, call, activation in plans:
        new = new_for(activation)
        if not new.formula:
            raise Unfit(
                _("it has weights, and so must be a module of the model."), activation.called
            )
        inner = argument(file, call)
        code = editing.names(file).adapt(new.formula.replace("{x}", inner))
        if new.function and len(new.formula) > 40:
            code = f"{editing.names(file).function(new.function, call)}({inner})"
        whole = isinstance(
            file.parents[call], (cst.BinaryOperation, cst.UnaryOperation, cst.Attribute)
        )
        file.replace(call, f"({code})" if whole and not code.endswith(")") else code)
        editing.did(p, file, _("another activation where it is called"))


def _modules(
    editing: Editing,
    p: Parsed,
    view: KnownModel,
    chosen: Sequence[KnownActivation],
    new: NewActivation,
) -> None:
    """Where they are made, if that is written there; else once the model is whole."""
    sites = _made(editing, view, chosen)
    if sites is not None:
        for file, call in sites:
            code = new.module
            if new.template:
                code = f"{editing.names(file).function(new.template, call)}()"
            file.replace(call, editing.names(file).adapt(code))
            editing.did(p, file, _("another activation where it is made"))
        return
    place = editing.place()
    code = new.module
    if new.template:
        code = f"{editing.function(place, new.template)}()"
    wanted = list(dict.fromkeys(a.path for a in chosen))
    template = _SWAP.format(names=paths(view, wanted), new=code)
    editing.run(place, template)
    editing.did(p, place.file, _("other activations in the model once it is made"))


def _made(
    editing: Editing, view: KnownModel, chosen: Sequence[KnownActivation]
) -> list[tuple[ScriptFile, cst.Call]] | None:
    """The calls that make just these modules; None if the text does not show them."""
    wanted = {a.index for a in chosen}
    spots = {a.made for a in chosen}
    others = {a.made for a in view.activations if a.module and a.index not in wanted}
    if None in spots or spots & others:
        return None
    found: dict[tuple[str, int], tuple[ScriptFile, cst.Call]] = {}
    for a in chosen:
        assert a.made is not None
        if a.made.file not in editing.sources:
            return None
        file = editing.file(a.made.file)
        calls = [c for c in file.calls_at(a.made.line) if last_name(c.func) == a.cls]
        inner = [c for c in calls if not list(file.inside(c, cst.Call))[1:]]
        if not inner:
            return None
        found.update({(file.name, file.span(c)[0]): (file, c) for c in inner})
    return list(found.values())


def _calls(
    editing: Editing, view: KnownModel, functions: Sequence[KnownActivation]
) -> list[tuple[ScriptFile, cst.Call, KnownActivation]]:
    """The function calls to replace. Unfit if the text does not show them, or others with them."""
    wanted = {a.index for a in functions}
    found: dict[tuple[str, int], tuple[ScriptFile, cst.Call, KnownActivation]] = {}
    for a in functions:
        if a.called is None or a.called.file not in editing.sources:
            said = _("{op} is called outside the script's own files.").format(op=a.op)
            raise Unfit(said, a.called)
        for file, call in function_calls(editing, a.called, a.op):
            found[file.name, file.span(call)[0]] = file, call, a
        if any(_same(a, b) for b in view.activations if b.index not in wanted):
            said = _("the same line calls {op} for what should stay.").format(op=a.op)
            raise Unfit(said, a.called)
    return list(found.values())


def _by_reference(
    editing: Editing,
    p: Parsed,
    view: KnownModel,
    mine: Sequence[KnownActivation],
    new_for: Callable[[KnownActivation], NewActivation],
) -> bool:
    """Where a function is called by another name: its one mention (in a dictionary, an argument)
    becomes the new one. False where it is called by its own name."""
    op, spots = mine[0].op, {a.called for a in mine}
    if None in spots or any(s is None or s.file not in editing.sources for s in spots):
        return False
    if any(_named_calls(editing.file(s.file), s, op) for s in spots if s is not None):
        return False
    chosen = {a.index for a in mine}
    mentions = []
    for name in editing.sources:
        file = editing.file(name)
        for node in file.inside(file.tree, cst.Attribute):
            called = isinstance(file.parents[node], cst.Call) and file.parents[node].func is node
            if last_name(node) == op and not called and _torchs(file.code(node.value)):
                mentions.append((file, node))
    stay = [a for a in view.activations if a.op == op and a.index not in chosen and not a.module]
    formula = new_for(mine[0]).formula
    if len(mentions) != 1 or stay or not formula:
        return False
    file, node = mentions[0]
    bare = formula.removesuffix("({x})")
    code = bare if bare.replace(".", "").isidentifier() else f"lambda x: {formula.format(x='x')}"
    file.replace(node, editing.names(file).adapt(code))
    editing.did(p, file, _("another activation where it is named"))
    return True


def _torchs(owner: str) -> bool:
    return re.fullmatch(r"(?:torch|F|nn|[\w.]*functional|special)", owner) is not None


def _named_calls(file: ScriptFile, spot: Spot, op: str) -> list[cst.Call]:
    calls = [c for c in file.calls_at(spot.line) if last_name(c.func) in (op, f"{op}_")]
    return [c for c in calls if c.args or isinstance(c.func, cst.Attribute)]


def _same(a: KnownActivation, b: KnownActivation) -> bool:
    return not b.module and b.called == a.called and b.op == a.op


def function_calls(editing: Editing, spot: Spot, op: str) -> list[tuple[ScriptFile, cst.Call]]:
    """Calls of an activation's function in the statement at a line. Unfit if none shows."""
    file = editing.file(spot.file)
    calls = _named_calls(file, spot, op)
    if not calls:
        said = _("{op} is called by another name here.").format(op=op)
        raise Unfit(said, spot)
    if len(calls) > 1:
        raise Unfit(_("one line calls {op} more than once.").format(op=op), spot)
    return [(file, c) for c in calls]


def argument(file: ScriptFile, call: cst.Call) -> str:
    """What an activation's function is called on: its first argument, or what the method is of."""
    positional = [a for a in call.args if a.keyword is None]
    own = isinstance(call.func, cst.Attribute) and not _torchs(file.code(call.func.value))
    if own and isinstance(call.func, cst.Attribute):
        node: Any = call.func.value
    elif positional:
        node = positional[0].value
    else:
        given = {a.keyword.value: a.value for a in call.args if a.keyword is not None}
        if "input" not in given:
            raise Unfit(_("it does not show what the activation is called on."))
        node = given["input"]
    return file.code(node)
