"""`evenflow.explain`: the ledger of a loss, read off its graph before `loss.backward()`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..lang import _
from ..nearby import hint
from ..network import LAYERS
from .chain import write_out
from .factors import coarse, conv_scale, decades
from .ledger import Ledger
from .naming import Named, children, name_nodes, shape_of, variable
from .paths import Edge, Vertex, between, crossings, links, reached
from .probing import REENTRANT, Meeting, backward, hooked, isolated, kept_grads, norm, slope
from .weight import WeightChain


def explain(
    loss: Tensor, model: nn.Module | None = None, site: str | Tensor | None = None
) -> Ledger:
    """Which factor of the chain rule made a layer's error what it is.

    Call it after the forward and before `loss.backward()`: it runs the backward once by itself,
    takes ‖δ‖ (float64) at each op between the loss and the site, and leaves everything as it was:
    `.grad`, random state, hooks, the graph. It costs a backward and the memory of one.

    Args:
        loss: the scalar that `backward()` is to be called on.
        model: names the parameters, and says which of them are meant if `site` is None.
        site: where the way ends: an op's name as the ledger tells it ("layers.3 → sigmoid"), a
            module's path ("layers.3"), a parameter's name (its gradient), or a tensor of the
            graph. By default the layer nearest the data.

    Returns:
        The ledger. On a chain its gains add up to log10 of the whole ratio; where ways part there
        are blocks, exact as a whole, with shares inside (THEORY.md section 3).

    Raises:
        ValueError: no scalar, no graph, a graph that was freed, an unknown or unreachable site.

    >>> import torch, evenflow
    >>> _ = torch.manual_seed(0)
    >>> layers = [m for _ in range(9) for m in (torch.nn.Linear(8, 8), torch.nn.Sigmoid())]
    >>> model = torch.nn.Sequential(*layers)
    >>> ledger = evenflow.explain(model(torch.randn(16, 8)).square().mean(), model)
    >>> ledger.site, round(ledger.gain)  # decades that the error loses on its way there
    ('0', -9)
    """
    root = _root(loss)
    with isolated():
        known = {id(p): n for n, p in model.named_parameters()} if model is not None else {}
        nodes = reached(root, children)
        if any(n.name() == "CheckpointFunctionBackward" for n in nodes):
            raise ValueError(REENTRANT)
        named = name_nodes(nodes, known)
        target = _target(site, nodes, named, model)
        vertices, edges, caveat = _read(loss, root, target, nodes, named)

    def unroll(name: str, index: tuple[int, ...], sample: int | None) -> WeightChain:
        with isolated():
            return write_out(loss, nodes, named, known, name, index, sample)

    return Ledger(
        site=named[target].name,
        received=vertices[root].received,
        sent=vertices[target].received,
        links=links(vertices, edges, root, target),
        time=crossings(vertices, edges),
        notes=(*_notes(vertices), *filter(None, [caveat])),
        unroll=unroll,
    )


def _root(loss: Any) -> Any:
    if not isinstance(loss, Tensor):
        found = f"a {type(loss).__name__}"
        hint = ""
        if isinstance(loss, Mapping):
            found += f" with keys {list(loss)[:6]}"
            hint = "; pass the loss in it, such as out['loss']"
        elif isinstance(getattr(loss, "loss", None), Tensor):
            hint = "; pass its .loss"
        elif isinstance(loss, (tuple, list)):
            hint = "; pass its element that backward() is called on"
        raise ValueError(f"explain() wants the loss, a scalar tensor; this is {found}{hint}.")
    if loss.numel() != 1:
        raise ValueError(
            f"explain() wants a scalar loss; this one has shape {tuple(loss.shape)}. Reduce it as "
            "the training does, with .mean() or .sum()."
        )
    if loss.grad_fn is None:
        why = (
            "it is itself a leaf"
            if loss.requires_grad
            else "it was computed under torch.no_grad() or inference_mode(), detached, or from "
            "parameters that do not require a gradient"
        )
        raise ValueError(f"this loss has no graph: {why}. Compute it with gradients on.")
    return loss.grad_fn


def _target(
    site: str | Tensor | None, nodes: list[Any], named: dict[Any, Named], model: nn.Module | None
) -> Any:
    if isinstance(site, Tensor):
        if site.grad_fn is not None and site.grad_fn in named:
            return site.grad_fn
        for node in nodes:
            if variable(node) is site:
                return node
        raise ValueError(
            f"the tensor given as site, of shape {tuple(site.shape)}, is no part of this loss's "
            "graph; pass one that the loss was computed from, with gradients on."
        )
    ops = sorted((named[n] for n in nodes if named[n].rank >= 0), key=lambda n: n.rank)
    if site is None:
        return _first_layer(ops, nodes, model)
    wanted = site.strip()
    for node in nodes:
        if variable(node) is not None and named[node].name == wanted:
            return node
    exact = [n for n in ops if n.name == wanted]
    inside = [n for n in ops if n.place == wanted and n.call == 0]
    layers = [n for n in inside if n.params and n.kind in LAYERS] or inside[-1:]
    for found in (exact, layers):
        if found:
            return found[0].node
    names = [n.name for n in ops if n.kind != "view"]
    names += [n.name for n in named.values() if n.kind == "parameter"]
    said = _("no op or parameter of this loss is called {site!r}: {hint}")
    raise ValueError(said.format(site=site, hint=hint(wanted, names)))


def _first_layer(ops: list[Named], nodes: list[Any], model: nn.Module | None) -> Any:
    own = None if model is None else {id(p) for p in model.parameters()}
    reading = [n for n in ops if any(own is None or id(p) in own for p in n.params)]
    if not reading:
        whose = "the model's parameters are no part of" if own else "no parameter is part of"
        raise ValueError(
            f"{whose} this loss's graph, so there is no layer to explain by default; name a site "
            "or pass a tensor of the graph as site."
        )
    layers = [n for n in reading if n.kind in LAYERS]
    return (layers or reading)[0].node


def _read(
    loss: Tensor, root: Any, target: Any, nodes: list[Any], named: dict[Any, Named]
) -> tuple[dict[Any, Vertex], list[Edge[Any]], str]:
    """One backward: ‖δ‖ at each op on the way and along each edge, shares at the forks; and what
    is to be said of its precision."""
    way = between(children, root, target)
    edges_of: dict[Any, list[tuple[int, Any, int]]] = {}
    for node in way - {target}:
        below = enumerate(node.next_functions)
        edges_of[node] = [(i, child, slot) for i, (child, slot) in below if child in way]
    arriving = Counter(child for edges in edges_of.values() for _i, child, _slot in edges)
    meetings = {v: Meeting(count) for v, count in arriving.items() if count > 1}
    received: dict[Any, float] = {}
    sent: dict[tuple[Any, int], float] = {}
    parts: dict[Any, dict[str, float]] = {}
    low: dict[Any, bool] = {}

    def read(node: Any, grad_inputs: Sequence[Any], grad_outputs: Sequence[Any]) -> None:
        with isolated():
            received[node] = math.hypot(*(norm(g) for g in grad_outputs))
            low[node] = _subnormal(received[node], grad_outputs)
            for i, child, slot in edges_of.get(node, ()):
                sent[node, i] = norm(grad_inputs[i])
                if child in meetings:
                    meetings[child].add((node, i), slot, grad_inputs[i])
                if named[node].kind == "activation" and i == 0:
                    parts[node] = _slope(grad_inputs[0], grad_outputs[0])

    leaves = _leaves(way, nodes, named, target)
    off = hooked([n for n in way if variable(n) is None], read)
    try:
        with kept_grads():
            grads = backward([loss], leaves, [torch.ones_like(loss)])
    finally:
        off()
    sizes = {id(leaf): norm(g) for leaf, g in zip(leaves, grads, strict=True)}
    if variable(target) is not None:
        received[target] = sizes[id(variable(target))]
    vertices = {v: _vertex(named[v], received.get(v, 0.0), sizes) for v in way}
    edges = []
    for node, out in edges_of.items():
        for i, child, _slot in out:
            size = sent.get((node, i), 0.0)
            share = meetings[child].shares.get((node, i), math.nan) if child in meetings else 1.0
            taken = _parts(named[node], i, received.get(node, 0.0), size, parts.get(node, {}))
            edges.append(Edge(node, child, size, share, taken))
    first = max(
        (n for n, is_low in low.items() if is_low), key=lambda n: named[n].rank, default=None
    )
    return vertices, edges, "" if first is None else coarse(named[first].name)


def _subnormal(size: float, tensors: Sequence[Tensor | None]) -> bool:
    """Is the rms below the smallest normal number of its dtype (and not zero)?"""
    there = [t for t in tensors if t is not None]
    if not there or not size > 0:
        return False
    smallest = torch.finfo(there[0].dtype).tiny
    return size < smallest * math.sqrt(sum(t.numel() for t in there))


def _leaves(way: set[Any], nodes: list[Any], named: dict[Any, Named], target: Any) -> list[Tensor]:
    """Leaves whose gradients make the engine run every op on the way and down to the target."""
    below = set(reached(target, children))
    near = {id(p) for node in way for p in named[node].params}
    found = [(n, variable(n)) for n in nodes]
    leaves = [leaf for n, leaf in found if leaf is not None and (n in below or id(leaf) in near)]
    if not leaves:
        raise ValueError("no leaf of this loss's graph lies behind the site; it cannot be run.")
    return leaves


def _vertex(n: Named, received: float, gradients: dict[int, float]) -> Vertex:
    known = [(norm(p), gradients[id(p)]) for p in n.params if id(p) in gradients]
    elastic = math.hypot(*(w * g for w, g in known)) if known else None
    return Vertex(n.name, n.op, n.kind, received, n.rank, n.call, None, elastic, n.place)


def _slope(sent: Tensor | None, received: Tensor | None) -> dict[str, float]:
    if sent is None or received is None or sent.shape != received.shape:
        return {}
    size = slope(sent, received)
    return {"slope": math.log10(size)} if size > 0 else {}


def _parts(
    n: Named, edge: int, received: float, sent: float, slopes: dict[str, float]
) -> dict[str, float]:
    """The gain taken apart (THEORY.md section 3)."""
    gain = decades(sent, received)
    if not math.isfinite(gain):
        return {}
    if slopes:
        return {**slopes, "rest": gain - slopes["slope"]}
    scale = _scale(n, edge) if n.kind == "affine" else None
    return {} if scale is None else {"scale": scale, "alignment": gain - scale}


def _scale(n: Named, edge: int) -> float | None:
    """log10 of ‖W‖_F/√n_out: the gain of an error that is the same in all directions.

    E‖Wᵀδ‖² = σ²‖W‖_F² and E‖δ‖² = σ² n_out for each row, or each pixel of a convolution (borders
    aside); a transposed one sends each pixel of δ to S_in/S_out of its window.
    """
    weights = [(i, w) for i, w in n.weights if w.dim() > 1]
    if len(weights) != 1 or weights[0][0] == edge:
        return None
    place, weight = weights[0]
    shape, behind = shape_of(n.node), shape_of(n.node.next_functions[edge][0])
    if not shape:
        return None
    size = norm(weight)
    if not size > 0:
        return None
    if n.node.name().startswith(("Addmm", "Mm", "Linear", "Addmv", "Mv")):
        left = place < edge  # W @ x: the units lie on the rows
        units = shape[-2] if left and len(shape) > 1 else shape[-1]
        return math.log10(size) - 0.5 * math.log10(units)
    return conv_scale(size, shape, behind) if "onvolution" in n.node.name() else None


def _notes(vertices: Mapping[Any, Vertex]) -> tuple[str, ...]:
    opaque = {
        "recurrent": _(
            "{names}: one factor, opaque inside; a watched run measures the flow through its time "
            "steps (evenflow explain RUN)"
        ),
        "custom": _("{names}: the script's own function, opaque inside"),
    }
    notes = []
    for kind, text in opaque.items():
        if names := sorted({v.name for v in vertices.values() if v.kind == kind}):
            notes.append(text.format(names=", ".join(names[:3])))
    return tuple(notes)
