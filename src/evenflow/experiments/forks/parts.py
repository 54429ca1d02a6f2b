"""A network kept in several modules, each called by itself: an encoder and a head."""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection

from torch import nn


class Parts(nn.Module):
    """Holds them by the script's names for them; never called. `first` is called first."""

    def __init__(self, first: nn.Module, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self.__dict__["first"] = first  # no child of its own: its parameters have one name
        for name, part in parts.items():
            self.add_module(name, part)


def whole(first: nn.Module, ids: Collection[int]) -> nn.Module:
    """`first` alone, or with the other modules of these ids, as far as they live here."""
    found = {id(m): m for m in gc.get_objects() if id(m) in ids and isinstance(m, nn.Module)}
    if len(found) < 2 or id(first) not in found:
        return first
    names: dict[str, nn.Module] = {}
    for one in ids:
        if one in found:
            names[_name(found[one], names)] = found[one]
    return Parts(first, names)


def _name(module: nn.Module, taken: Collection[str]) -> str:
    """The script's own, else that of its class; one that none of the others has."""
    said = vars(sys.modules["__main__"])
    own = [n for n, v in said.items() if v is module and not n.startswith("_")]
    name = own[0] if own else type(module).__name__.lower()
    return name if name not in taken else f"{name}_{len(taken)}"
