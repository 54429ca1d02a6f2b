"""Who owns a module: an agent calls its actor and its critic, and is never called itself."""

from __future__ import annotations

import gc

from torch import nn

#: They have no name worth telling: "0" of a list is no better than the module's class.
_LISTS = (nn.ModuleList, nn.ModuleDict)
_WRAPPERS = ("DataParallel", "DistributedDataParallel", "OptimizedModule")


def owner_of(module: nn.Module) -> tuple[nn.Module, str] | None:
    """(outermost module that holds it, path inside it), or None if no other module does.

    A slice of a container (`net[0:8]`, kept by nobody) is where the container is. Looks at every
    object that Python's garbage collector knows, which takes tens of milliseconds: to be asked
    once a root module.
    """
    parents: dict[int, tuple[nn.Module, str]] = {}
    pieces = dict(module.named_children()) if isinstance(module, nn.Sequential) else {}
    cut_from: nn.Module | None = None
    for o in gc.get_objects():
        if not issubclass(type(o), nn.Module) or type(o).__name__ in _WRAPPERS:
            continue
        parts = vars(o).get("_modules")
        if type(parts) is not dict:
            continue
        for name, child in parts.items():
            if child is not None:
                parents.setdefault(id(child), (o, name))
        cut = pieces and type(o) is type(module) and len(parts) > len(pieces)
        if cut and all([parts.get(n) is c for n, c in pieces.items()]):
            cut_from = o
    found = _outermost(module, parents)
    if found is None and cut_from is not None:
        return _outermost(cut_from, parents) or (cut_from, "")
    return found


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
