"""Names for the nodes of a graph that was built without any watch.

A node that reads a parameter is told by the parameter's module ("layers.3"); what follows it, up
to the next such node, as "layers.3 → sigmoid"; where one name would stand for several nodes, all
but the first (in forward order) carry a running number, and later uses of the same weights their
call: "cell @5". Nodes that a sampled forward labelled have the names of the tape's sites.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..network import LAYERS, of_node
from ..schema import bare_name
from ..tape import known_site


@dataclass(slots=True)
class Named:
    """A node's words.

    `place` is the module path it is told by, `rank` grows in forward order (-1: not an op),
    `weights` are the parameters it reads, by the edge that leads to them.
    """

    node: Any
    rank: int
    op: str
    kind: str
    place: str = ""
    name: str = ""
    call: int = 0
    weights: list[tuple[int, Tensor]] = field(default_factory=list)

    @property
    def params(self) -> list[Tensor]:
        """The parameters it reads, each once."""
        return list({id(w): w for _, w in self.weights}.values())


def children(node: Any) -> list[Any]:
    """The nodes δ is sent to."""
    return [child for child, _ in node.next_functions if child is not None]


def shape_of(node: Any) -> tuple[int, ...] | None:
    """Shape of a node's (first) output; None where torch does not tell."""
    metadata = getattr(node, "_input_metadata", None)
    return tuple(int(d) for d in metadata[0].shape) if metadata else None


def variable(node: Any) -> Tensor | None:
    """The leaf a node accumulates into; None for any other node."""
    found: Tensor | None = getattr(node, "variable", None)
    return found


def weight_side(nodes: Iterable[Any], known: Mapping[int, str]) -> dict[Any, Tensor]:
    """Nodes through which a node reads a parameter: its leaf, and views of nothing but it."""
    out: dict[Any, Tensor] = {}
    for start in nodes:
        path, node = [], start
        while node not in out:
            path.append(node)
            leaf = variable(node)
            if leaf is not None:
                if id(leaf) in known or isinstance(leaf, nn.Parameter):
                    out[node] = leaf
                break
            below = node.next_functions
            if of_node(node.name()).kind != "view" or len(below) != 1 or below[0][0] is None:
                break
            node = below[0][0]
        if node in out:
            for step in path:
                out[step] = out[node]
    return out


def name_nodes(nodes: list[Any], known: Mapping[int, str]) -> dict[Any, Named]:
    """Names of all nodes but those that only pass a weight on.

    `known` gives parameters' names by id; parameters it lacks are told by what reads them.
    """
    weights = weight_side(nodes, known)
    ordered = [n for n in nodes if n not in weights and variable(n) is None]
    ordered.sort(key=lambda n: n._sequence_nr())
    named: dict[Any, Named] = {}
    uses: dict[tuple[int, str], int] = {}
    anonymous: dict[int, str] = {}
    for rank, node in enumerate(ordered):
        op, kind = of_node(node.name())
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            kind = "custom"
        here = Named(node, rank, op, kind)
        below = children(node)
        edges = enumerate(node.next_functions)
        here.weights = [(i, weights[c]) for i, (c, _) in edges if c in weights]
        if here.weights and kind == "matmul":
            here.op, here.kind = "linear", "affine"
        computed = [c for c in below if c not in weights and variable(c) is None]
        if here.kind == "join" and len(computed) < 2:
            here.kind = "other"
        _place(here, [named[c] for c in computed if c in named], known, uses, anonymous)
        named[node] = here
    _number(n for n in named.values() if not _as_site(n))
    for node in nodes:
        leaf = variable(node)
        if leaf is not None:
            called = known.get(id(leaf), "input" if node not in weights else "parameter")
            named[node] = Named(node, -1, "leaf", "parameter", called, called)
    for node, leaf in weights.items():
        if node not in named:
            called = known.get(id(leaf), "parameter")
            op, kind = of_node(node.name())
            named[node] = Named(node, -1, op, kind, called, f"{called} → {op}")
    return named


def _place(
    here: Named,
    below: list[Named],
    known: Mapping[int, str],
    uses: dict[tuple[int, str], int],
    anonymous: dict[int, str],
) -> None:
    if here.weights:
        main = max(here.params, key=lambda p: p.dim())
        path = known.get(id(main), "")
        if here.kind == "recurrent" and "." in path:  # one op for all its weights
            path = path.rsplit(".", 1)[0]
        here.place = module_path(path)
        if not here.place:  # a parameter nobody named: count the ops that read such ones
            count = len(anonymous)
            here.place = anonymous.setdefault(id(main), f"{here.op}#{count}" if count else here.op)
        key = (id(main), here.op)
        here.call = uses.get(key, 0)
        uses[key] = here.call + 1
    elif below:
        latest = max(below, key=lambda n: n.rank)
        here.place, here.call = latest.place, latest.call
    if here.kind == "loss" or (not here.weights and shape_of(here.node) == ()):
        here.name = f"loss → {here.op}"
        return
    alone = here.kind in LAYERS and here.weights
    here.name = here.place if alone else f"{here.place or 'data'} → {here.op}"


def module_path(parameter: str) -> str:
    """ "layers.3" of "layers.3.weight", "cell.weight_hh" of "cell.weight_hh"; "" of ""."""
    path = parameter.removeprefix("_orig_mod.").removeprefix("module.")
    if ".parametrizations." in path:  # torch's own place for what a weight is computed from
        return path.split(".parametrizations.", 1)[0]
    for end in (".weight", ".bias"):
        if path.endswith(end):
            return path.removesuffix(end)
    return path


def _number(named: Iterable[Named]) -> None:
    counts: dict[tuple[str, int], int] = {}
    for n in named:
        count = counts.get((n.name, n.call), 0)
        counts[n.name, n.call] = count + 1
        n.name += (f" #{count}" if count else "") + (f" @{n.call}" if n.call else "")


def _as_site(here: Named) -> bool:
    """Take the words of the site a watch knows this node by; was there one?"""
    found = known_site(here.node)
    if found is None or here.kind == "view":  # a view at a composite op's end is not the op
        return False
    registry, id = found
    site = registry.sites[id]
    here.name = bare_name(site)
    here.op, here.kind, here.place, here.call = site.op, site.kind, site.path, site.call
    return True
