"""Labels on autograd nodes: which site a node belongs to.

A label lives in the node's own metadata dict, so it dies with the graph, is found from any thread
(sequence numbers count per thread and may collide), and needs no reference from us to the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from torch import Tensor

if TYPE_CHECKING:
    from .catalogue import Catalogue

_KEY = "evenflow"


@dataclass(slots=True)
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
_catalogues: WeakValueDictionary[int, Catalogue] = WeakValueDictionary()


def speak_for(generation: int, catalogue: Catalogue) -> None:
    """Labels of this generation name sites of this catalogue."""
    _catalogues[generation] = catalogue


def known_site(node: Any) -> tuple[Catalogue, int] | None:
    """(catalogue, site) of the site whose output a node made, if a sampled forward labelled it
    and its watch still lives."""
    found = node.metadata.get(_KEY)
    if found is None or found.site is None or not found.primary:
        return None
    catalogue = _catalogues.get(found.generation)
    return None if catalogue is None else (catalogue, found.site)


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
    """Write (or overwrite) a node's label."""
    node.metadata[_KEY] = what


def read(node: Any, oldest: int) -> Label | None:
    """A node's label, if it was written in sampled step `oldest` or later."""
    found = node.metadata.get(_KEY)
    return found if found is not None and found.generation >= oldest else None
