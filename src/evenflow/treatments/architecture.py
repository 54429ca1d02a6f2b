"""What a network is made of, from the sites of a run. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..network import (
    ACTIVATIONS,
    ADDITIONS,
    BOUNDED,
    MIXING,
    PRODUCTS,
    Wiring,
    branches,
    depths,
    is_adaptive,
)
from ..schema import Run
from .base import Facts

#: Only beyond so many sites can the tape have left some out.
LARGE = 1000


def of_run(run: Run) -> Facts:
    """Facts as far as a run's sites tell; a run without sites gives bare `Facts()`.

    >>> import torch, evenflow
    >>> from evenflow.treatments import of_run
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> facts = of_run(evenflow.preflight(net, (8, 4), advise=False).run)
    >>> facts.depth, facts.activations
    (2, ('tanh',))
    """
    wiring = Wiring(run)
    sites = run.sites
    heavy = [s for s in sites if wiring.weights[s.id] and s.kind in MIXING]
    read = wiring.ancestors(i for s in heavy for i in wiring.parents(s.id))
    hidden = [s for s in heavy if s.kind in ("affine", "matmul") and s.id in read]
    gates = {
        i
        for s in sites
        if s.op in PRODUCTS and len(s.inputs) > 1
        for i in wiring.parents(s.id)
        if sites[i].op in BOUNDED
    }
    acts = [s.op for s in sites if s.op in ACTIVATIONS and s.id in read and s.id not in gates]
    own = {s.id for s in heavy}
    layer = [s.id in own for s in sites]
    depth = max(depths(wiring.links, [int(is_layer) for is_layer in layer]), default=0)
    cells = {"cell" for ids in wiring.unrolled if layer[ids[0]]}
    shapes = {p.name: p.shape for p in run.params}
    used = {n for s in hidden for n in s.params if len(shapes.get(n, ())) >= 2}
    square = sum(shapes[n][0] == shapes[n][1] for n in used)
    seen = {n for s in heavy for n in s.params if len(shapes.get(n, ())) >= 2}
    return Facts(
        depth=round(depth * _unseen(len(sites), len(seen), shapes)),
        activations=tuple(op for op, _ in Counter(acts).most_common()),
        norms=frozenset(s.op for s in sites if s.kind == "norm"),
        recurrent=frozenset((*(s.op for s in sites if s.kind == "recurrent"), *cells)),
        skips=_skips(wiring, layer),
        attention=any(s.kind == "attention" for s in sites),
        convolution=any("conv" in s.op for s in heavy),
        embedding=any(s.kind == "embedding" for s in sites),
        dropout=any(s.kind == "dropout" for s in sites),
        square=square,
        hidden=len({(s.path, s.op, s.index) for s in hidden}),
        floating=all("float" in s.dtype for s in sites if s.kind == "input" and s.op != "target"),
        step=0,
        **optimizer_facts(run.meta.get("optimizers") or ()),
    )


def optimizer_facts(optimizers: Iterable[Any]) -> dict[str, Any]:
    """`adaptive`, `optimizer` and `lr` from the tape's notes on optimizers."""
    noted = [o for o in optimizers if isinstance(o, Mapping)]
    if not noted:
        return {}
    name = str(noted[0].get("class", "")).lower()
    lr = noted[0].get("lr")
    return {
        "adaptive": is_adaptive(name),
        "optimizer": name,
        "lr": float(lr) if isinstance(lr, (int, float)) else float("nan"),
    }


def _unseen(sites: int, seen: int, shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Weights there are for each that a site was seen to read: above 1 where a network is so large
    that the tape has stopped adding sites. Its depth is taken to go on likewise."""
    matrices = sum(len(shape) >= 2 for shape in shapes.values())
    return matrices / seen if sites >= LARGE and matrices > 1.2 * seen > 0 else 1.0


def _skips(wiring: Wiring, layer: Sequence[bool]) -> bool:
    """Whether an addition joins a branch with layers and what that branch began from."""
    calls = Counter(s.place for s in wiring.sites if layer[s.id])
    once = [calls[s.place] == 1 for s in wiring.sites]
    additions = (s.id for s in wiring.sites if s.op in ADDITIONS)
    return any(True for _ in branches(wiring.links, layer, once, additions))
