"""The graph of a model as theory needs it: torch functions in order, with who reads whom.

Captured from one ordinary call under a `TorchFunctionMode`, as the tape does it: functional ops,
module calls, shared weights and Python control flow are all just calls, and whatever the model
does with masks and caches has been done. (torch.export and torch.fx refuse part of what this
takes: data-dependent branches, caches.) Works on stored, unseen and meta weights alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from evenflow.network import of_function


@dataclass(frozen=True)
class Node:
    """One call.

    Attributes:
        id: position in the graph; nodes are in the order of the calls. Inputs come first.
        op, kind: as the tape's ("linear", "affine"); op "input" has no `func`.
        func, args, kwargs: the call as it was; `Ref`s stand for outputs of other nodes.
        shape: of its output, batch first.
        reads: ids of the nodes whose outputs it reads.
        value: the tensor, of an input only.
    """

    id: int
    op: str
    kind: str
    func: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    reads: tuple[int, ...]
    value: Tensor | None = None


@dataclass(frozen=True)
class Ref:
    """Output of another node within the arguments of a call; `part` where it has several."""

    node: int


@dataclass
class _Capture:
    nodes: list[Node] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)
    alive: list[Tensor] = field(default_factory=list)  # or ids of tensors would be used again

    def note(self, x: Tensor, id: int) -> None:
        self.made[id_of(x)] = id
        self.alive.append(x)


def id_of(x: Tensor) -> int:
    """Identity of a tensor object."""
    return id(x)


def capture(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
) -> tuple[list[Node], int]:
    """Call the model once, without gradients: its nodes, and the id of the one that is its output.

    The output is the first floating tensor of what the model returns. Nodes on which the output
    does not depend are left out. A call that returns several tensors (`chunk`) is one node for
    each of them, its `func` picking that one.

    Raises:
        ValueError: the output is not a tensor made from the inputs by torch functions.
    """
    seen = _Capture()
    inputs = [t for t in tree_leaves((args, dict(kwargs or {}))) if isinstance(t, Tensor)]
    for x in inputs:
        node = Node(len(seen.nodes), "input", "input", None, (), {}, tuple(x.shape), (), x)
        seen.nodes.append(node)
        seen.note(x, node.id)
    with torch.no_grad(), _Mode(seen):
        out = model(*args, **(kwargs or {}))
    tensors = [t for t in tree_leaves(_plain(out)) if isinstance(t, Tensor)]
    floating = [t for t in tensors if t.is_floating_point()]
    if not floating or id(floating[0]) not in seen.made:
        raise ValueError(
            f"{type(model).__name__} returned {type(out).__name__}, which is no tensor that torch "
            "functions made from its inputs: there is no graph to follow"
        )
    last = seen.made[id(floating[0])]
    wanted = {last}
    for node in reversed(seen.nodes):
        if node.id in wanted:
            wanted.update(node.reads)
    return [n for n in seen.nodes if n.id in wanted], last


def _plain(out: Any) -> Any:
    """Dataclass-like outputs of Hugging Face models are mappings."""
    return dict(out) if isinstance(out, Mapping) else out


class _Mode(TorchFunctionMode):
    def __init__(self, seen: _Capture) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        seen = self._seen
        # Read before the call: an in-place op returns the tensor it was given.
        made_args = _refs(args, seen.made)
        made_kwargs = {k: _refs(v, seen.made) for k, v in kwargs.items()}
        out = func(*args, **kwargs)
        reads = tuple(r.node for r in tree_leaves((made_args, made_kwargs)) if isinstance(r, Ref))
        op = of_function(func)
        if op is None or not reads:
            return out
        several = isinstance(out, (tuple, list))
        for place, x in enumerate(out if several else (out,)):
            if not isinstance(x, Tensor):
                continue
            call = _pick(func, place) if several else func
            node = Node(
                len(seen.nodes), op.name, op.kind, call, made_args, made_kwargs,
                tuple(x.shape), tuple(dict.fromkeys(reads)),
            )  # fmt: skip
            seen.nodes.append(node)
            seen.note(x, node.id)
        return out


def _pick(func: Callable[..., Any], place: int) -> Callable[..., Any]:
    def one(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)[place]

    return one


def _refs(value: Any, made: dict[int, int]) -> Any:
    if isinstance(value, Tensor):
        return Ref(made[id(value)]) if id(value) in made else value
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(_refs(v, made) for v in value)
    return value
