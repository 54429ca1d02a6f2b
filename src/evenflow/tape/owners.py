"""Who owns a module: an agent calls its actor and its critic, and is never called itself."""

from __future__ import annotations

import gc

from torch import nn

#: They have no name worth telling: "0" of a list is no better than the module's class.
_LISTS = (nn.ModuleList, nn.ModuleDict)
_WRAPPERS = ("DataParallel", "DistributedDataParallel", "OptimizedModule")


def owner_of(module: nn.Module) -> tuple[nn.Module, str] | None:
    """(outermost module that holds it, path inside it), or None if no other module does.

    Looks at every object that Python's garbage collector knows, which takes tens of milliseconds:
    to be asked once a root module.
    """
    return _outermost(module, _parents())


def owner_of_piece(piece: nn.Sequential) -> tuple[nn.Module, str] | None:
    """The same of the container that a slice (`net[0:8]`, kept by nobody) was cut from."""
    names = dict(piece.named_children())
    if not names:
        return None
    for o in _modules():
        parts = vars(o).get("_modules")
        if o is piece or type(o) is not type(piece) or type(parts) is not dict:
            continue
        if len(parts) > len(names) and all(parts.get(n) is c for n, c in names.items()):
            return _outermost(o, _parents()) or (o, "")
    return None


def _modules() -> list[nn.Module]:
    return [
        o
        for o in gc.get_objects()
        if issubclass(type(o), nn.Module) and type(o).__name__ not in _WRAPPERS
    ]


def _parents() -> dict[int, tuple[nn.Module, str]]:
    parents: dict[int, tuple[nn.Module, str]] = {}
    for o in _modules():
        parts = vars(o).get("_modules")
        for name, child in parts.items() if type(parts) is dict else ():
            if child is not None:
                parents.setdefault(id(child), (o, name))
    return parents


def _outermost(
    module: nn.Module, parents: dict[int, tuple[nn.Module, str]]
) -> tuple[nn.Module, str] | None:
    owner: nn.Module = module
    path: list[str] = []
    seen: set[int] = set()
    while id(owner) in parents and id(owner) not in seen:
        seen.add(id(owner))
        owner, name = parents[id(owner)]
        path.insert(0, name)
    if owner is module or type(owner) in _LISTS:
        return None
    return owner, ".".join(path)
