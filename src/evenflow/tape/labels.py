"""Labels on autograd nodes: which site a node belongs to.

A label lives in the node's own metadata dict, so it dies with the graph, is found from any thread
(sequence numbers count per thread and may collide), and needs no reference from us to the node.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .registry import SiteRegistry

_KEY = "evenflow"


@dataclass(slots=True, weakref_slot=True)
class Label:
    """`site` is None for a view of a parameter; `primary` marks the node of the site's output.

    `generation` is the sampled step the node was made in, `armed` the one that hooked it.
    """

    generation: int
    thread: int
    site: int | None
    primary: bool
    armed: int = -1


#: Whose names a label's site is, by generation; gone with the watch that held them.
#: (No `WeakValueDictionary`: in its callback Python swallows what a signal handler raises.)
_registries: dict[int, weakref.ref[SiteRegistry]] = {}


def speak_for(generation: int, registry: SiteRegistry) -> None:
    """Labels of this generation name sites of this registry."""
    if not len(_registries) % 64:  # now and then
        for old in [g for g, ref in _registries.items() if ref() is None]:
            del _registries[old]
    _registries[generation] = weakref.ref(registry)


def known_site(node: Any) -> tuple[SiteRegistry, int] | None:
    """(registry, site) of the site whose output a node made, if a sampled forward labelled it
    and its watch still lives."""
    found = node.metadata.get(_KEY)
    if found is None or found.site is None or not found.primary:
        return None
    ref = _registries.get(found.generation)
    registry = None if ref is None else ref()
    return None if registry is None else (registry, found.site)


def node_of(t: Tensor) -> Any:
    """A tensor's autograd node, or None.

    A view made without gradients whose base was then changed in place has none to give: asking
    for it raises (an initialiser that scales one chunk of a weight does this).
    """
    try:
        return t.grad_fn
    except RuntimeError:
        return None


def label(node: Any, what: Label) -> None:
    node.metadata[_KEY] = what


def read(node: Any, oldest: int) -> Label | None:
    """A node's label, if it was written in sampled step `oldest` or later."""
    found = node.metadata.get(_KEY)
    return found if found is not None and found.generation >= oldest else None
