"""One weight's derivative, written out: the Jacobians of the ops from the loss to the weight.

C -> ... z_l = W_l a_{l-1}, a_l = φ(z_l) ...: ∂C/∂w = ∂C/∂a_L · φ'(z_L) · W_L · ... · φ'(z_l) · x
(THEORY.md section 1). Each Jacobian is taken from autograd's own node by vector-Jacobian products
with unit vectors (elementwise ops: with ones), never from a saved tensor; the product is float64
arithmetic of our own and must end in the number autograd computes, or nothing is told.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from ..lang import _
from ..nearby import hint
from ..network import WEIGHTED
from .naming import Named, children, variable
from .paths import between, reached
from .probing import backward, flat
from .weight import ChainFactor, Floats, WeightChain

#: A Jacobian of more numbers than this is refused (128 MiB in float64).
_MOST = 1 << 24
#: What the model computes begins here, seen from the loss.
_MODEL = (*WEIGHTED, "activation", "norm", "pool", "dropout")
_ELEMENTWISE = frozenset(
    (
        *("mul", "div", "neg", "pow", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square"),
        *("sin", "cos", "tan", "abs", "reciprocal", "add", "sub", "rsub", "erf", "clamp"),
        *("sigmoid", "tanh", "dropout", "native_dropout"),
    )
)
#: Relative difference from autograd's number that rounding explains, by the coarsest dtype on the
#: way; of the sum of the absolute terms of the last inner product.
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}


class _Stage(NamedTuple):
    """A node on the chain, and the edge along which δ leaves it."""

    node: Any
    slot: int  # which of the node's outputs δ comes to


def write_out(
    loss: Tensor,
    nodes: list[Any],
    named: Mapping[Any, Named],
    known: Mapping[int, str],
    name: str,
    index: tuple[int, ...],
    sample: int | None,
) -> WeightChain:
    """The chain of one weight. Errors: see `Ledger.parameter`."""
    leaf = _leaf(nodes, named, known, name)
    weight = variable(leaf)
    assert weight is not None
    index = _index(name, weight, index)
    stages = _stages(loss.grad_fn, leaf, named)
    first = next((i for i, s in enumerate(stages) if named[s.node].kind in _MODEL), len(stages) - 1)
    begin = stages[first]
    (start,) = _vjp(loss, [_edge(begin)], torch.ones_like(loss))
    if sample is not None:
        start = _only(start, sample)
    delta = _wide(start)
    op = named[loss.grad_fn]
    factors = [ChainFactor("∂C/∂a", op.name, op.op, "row", _of(delta, sample), _size(delta))]
    ways = _between_layers(stages[first:], named)
    for above, below in ways:
        jacobian = _Jacobian(above, below, named[above.node], delta, sample)
        delta = jacobian.back(delta)
        factors.append(jacobian.told(sample, _size(delta)))
    last = ways[-1][1] if ways else begin
    column = _column(last, weight, index)
    terms = delta * column
    factors.append(_last(named[last.node], column, delta, index, sample, float(terms.sum())))
    value = float(terms.sum())
    (whole,) = _vjp(_edge(begin), [weight], start)
    auto = float(flat(whole)[index])
    dtypes = {weight.dtype, *(_input_of(s).dtype for s in stages)}
    _check(name, value, auto, float(np.abs(terms).sum()), dtypes)
    return WeightChain(name, index, sample, tuple(factors), value, auto)


def _leaf(nodes: list[Any], named: Mapping[Any, Named], known: Mapping[int, str], name: str) -> Any:
    leaves = {known.get(id(variable(n)), ""): n for n in nodes if variable(n) is not None}
    if name in leaves and name:
        return leaves[name]
    if name in known.values():
        raise ValueError(
            f"no error reaches {name!r}: it is no part of this loss's graph, or does not require "
            "a gradient."
        )
    names = [n for n in leaves if n]
    if not names:
        raise ValueError(
            f"no parameter is called {name!r}: this ledger knows no names. Pass the model: "
            "evenflow.explain(loss, model)."
        )
    said = _("no parameter of this loss is called {name!r}: {hint}")
    raise ValueError(said.format(name=name, hint=hint(name, names)))


def _index(name: str, weight: Tensor, index: tuple[int, ...]) -> tuple[int, ...]:
    fits = len(index) == weight.dim() and all(
        -d <= i < d for i, d in zip(index, weight.shape, strict=False)
    )
    if not fits:
        example = ", ".join("0" for _ in weight.shape)
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)}; {index!r} names none of its weights. "
            f"Give one index for each dimension, such as ({example})."
        )
    return tuple(i % d for i, d in zip(index, weight.shape, strict=True))


def _stages(root: Any, leaf: Any, named: Mapping[Any, Named]) -> list[_Stage]:
    """The nodes from the loss to the weight's own op; a fork past the loss's own is an error."""
    way = between(children, root, leaf)
    arriving = Counter(child for node in way for child in children(node))
    for node in reached(root, lambda n: [c for c in children(n) if c in way]):
        if arriving[node] > 1 and any(named[n].kind in _MODEL for n in _above(node, way)):
            raise ValueError(_forked(node, leaf, way, named))
    stages, node, slot = [], root, 0
    while node is not leaf:
        if named[node].rank >= 0:
            stages.append(_Stage(node, slot))
        node, slot = next((c, s) for c, s in node.next_functions if c in way)
    return stages


def _above(node: Any, way: set[Any]) -> set[Any]:
    """All on the way that send to `node`, directly or not."""
    senders: dict[Any, list[Any]] = {}
    for sender in way:
        for child in children(sender):
            senders.setdefault(child, []).append(sender)
    return set(reached(node, lambda n: senders.get(n, ()))) - {node}


def _forked(node: Any, leaf: Any, way: set[Any], named: Mapping[Any, Named]) -> str:
    senders = [named[n].name for n in way for c in children(n) if c is node]
    several = ", ".join(sorted(senders)[:4])
    what = named[leaf].name
    if node is leaf or named[node].rank < 0:
        where = f"the weight itself is used {len(senders)} times (by {several})"
    else:
        where = f"its ways meet at {named[node].name!r} (from {several})"
    return (
        f"{what}: more than one way leads there from the loss, so its derivative is a sum of "
        f"products, not one: {where}. Ask for a weight between that place and the loss, or see "
        f"the shares of the ways: evenflow.explain(loss, model, site={what!r})."
    )


def _edge(stage: _Stage) -> GradientEdge:
    return GradientEdge(stage.node, stage.slot)


def _vjp(
    output: Tensor | GradientEdge, inputs: list[Any], grad: Tensor, again: bool = False
) -> tuple[Tensor, ...]:
    found = backward([output], inputs, [grad], create_graph=again)
    assert all(g is not None for g in found), "a chain's stage that sends nothing"
    return tuple(g for g in found if g is not None)


def _wide(x: Tensor) -> Floats:
    return flat(x).cpu().double().clone().numpy()


def _size(delta: Floats) -> float:
    return float(np.linalg.norm(delta))


def _only(delta: Tensor, sample: int) -> Tensor:
    count = delta.shape[0] if delta.dim() else 0
    if not -count <= sample < count:
        raise ValueError(f"sample {sample} is none of the batch's {count}.")
    out = torch.zeros_like(delta)
    out[sample] = delta[sample]
    return out


def _of(values: Floats, sample: int | None) -> Floats:
    return values if sample is None or not values.ndim else values[sample]


def _between_layers(
    stages: list[_Stage], named: Mapping[Any, Named]
) -> list[tuple[_Stage, _Stage]]:
    """Neighbouring stages without the views, which only rename δ's elements."""
    kept = [s for i, s in enumerate(stages) if named[s.node].kind != "view" or i == 0]
    if kept[-1] is not stages[-1]:
        kept.append(stages[-1])
    return list(pairwise(kept))


class _Jacobian:
    """d(output of `above`)/d(output of `below`), in the cheapest exact form.

    δ at `above` has shape [B, ...]; all forms are applied to whole batches.
    """

    def __init__(
        self, above: _Stage, below: _Stage, named: Named, delta: Floats, sample: int | None
    ) -> None:
        self.named, self.symbol = named, "J"
        self._edge, self._to = _edge(above), _edge(below)
        self._like = _input_of(above)
        (sent,) = _vjp(self._edge, [self._to], torch.ones_like(self._like))
        self._shape = tuple(sent.shape)
        elementwise = named.kind == "activation" or named.op in _ELEMENTWISE
        if elementwise and sent.shape == self._like.shape:
            self.form, self.values = "diagonal", _wide(sent)
            self.symbol = "φ'(z)" if named.kind == "activation" else "f'(z)"
            return
        weight = self._weight()
        if weight is not None:
            self.form, self.symbol, self.values = "matrix", "W", weight
        else:
            self._general(sample)

    def _weight(self) -> Floats | None:
        """W [n_out, n_in] of an affine node whose input's rows all meet the same W."""
        out, inside = self._like.shape, self._shape
        if self.named.kind != "affine" or len(out) != 2 or not self.named.weights:
            return None
        rows, units = out
        if math.prod(inside) % rows or not math.prod(inside):
            return None
        fan_in = math.prod(inside) // rows
        if units * fan_in > _MOST or self.named.node.name().startswith("Conv"):
            return None
        # A unit vector in row 0 alone: what arrives elsewhere would be another row's.
        values = np.empty((units, fan_in))
        for k in range(units):
            e = torch.zeros_like(self._like)
            e[0, k] = 1.0
            (row,) = _vjp(self._edge, [self._to], e)
            wide = _wide(row).reshape(rows, fan_in)
            if wide[1:].any():
                return None
            values[k] = wide[0]
        return values

    def _general(self, sample: int | None) -> None:
        """By blocks, one a sample, where samples do not mix; else the whole batch as one."""
        out = self._like
        count = out.shape[0] if out.dim() else 0
        apart = bool(count and self._shape and self._shape[0] == count and self._sample_wise())
        if not apart and sample is not None:
            raise ValueError(
                f"{self.named.name} ({self.named.op}) mixes the samples of the batch, so no "
                "product belongs to one sample; leave sample out, or put the layer in eval mode."
            )
        blocks = count if apart else 1
        n_out, n_in = out.numel() // blocks, math.prod(self._shape) // blocks
        if (numbers := blocks * n_out * n_in) > _MOST:
            raise ValueError(
                f"the Jacobian of {self.named.name} ({self.named.op}) has {numbers:,} numbers; at "
                f"most {_MOST:,} are written out. Use a smaller batch, or a weight nearer the loss."
            )
        values = np.empty((blocks, n_out, n_in))
        for k in range(n_out):
            e = torch.zeros_like(out).reshape(blocks, -1)
            e[:, k] = 1.0
            (sent,) = _vjp(self._edge, [self._to], e.reshape(out.shape))
            values[:, k] = _wide(sent).reshape(blocks, n_in)
        self.form, self.values = ("blocks", values) if apart else ("dense", values[0])

    def _sample_wise(self) -> bool:
        """Does a sample's error go back to that sample alone? Asked of the first and the last,
        so that what looks only forward or only backward over them is found as well."""
        count = self._like.shape[0]
        for one in {0, count - 1}:
            e = torch.zeros_like(self._like)
            e[one] = torch.linspace(0.5, 1.5, e[one].numel(), dtype=e.dtype).view(e[one].shape)
            (sent,) = _vjp(self._edge, [self._to], e)
            others = torch.ones(count, dtype=torch.bool)
            others[one] = False
            if bool(sent[others.to(sent.device)].any()):
                return False
        return True

    def back(self, delta: Floats) -> Floats:
        """δ through it: the product so far, one factor further."""
        if self.form == "diagonal":
            out = delta * self.values
        elif self.form == "matrix":
            out = delta.reshape(-1, len(self.values)) @ self.values
        elif self.form == "blocks":
            out = np.einsum("bo,boi->bi", delta.reshape(len(self.values), -1), self.values)
        else:
            out = delta.reshape(-1) @ self.values
        return np.asarray(out.reshape(self._shape), dtype=np.float64)

    def told(self, sample: int | None, error: float) -> ChainFactor:
        """As a record."""
        per_sample = self.form in ("diagonal", "blocks")
        values = _of(self.values, sample) if per_sample else self.values
        return ChainFactor(self.symbol, self.named.name, self.named.op, self.form, values, error)


def _input_of(stage: _Stage) -> Tensor:
    """Zeros like the gradient that comes to a stage."""
    about = stage.node._input_metadata[stage.slot]
    return torch.zeros(tuple(about.shape), dtype=about.dtype, device=about.device)


def _column(last: _Stage, weight: Tensor, index: tuple[int, ...]) -> Floats:
    """∂(output)/∂w of one weight: ∂/∂u of (uᵀ ∂output/∂W)[index], linear in u.

    The double backward gives it for the whole batch at once; for a linear layer it is the input.
    """
    u = _input_of(last).requires_grad_()
    with torch.enable_grad():
        (sent,) = _vjp(_edge(last), [weight], u, again=True)
        one = sent[index]
        if not one.requires_grad:
            return np.zeros(tuple(u.shape))
        (column,) = _vjp(one, [u], torch.ones_like(one))
    return _wide(column)


def _last(
    named: Named,
    column: Floats,
    delta: Floats,
    index: tuple[int, ...],
    sample: int | None,
    value: float,
) -> ChainFactor:
    """The last factor: for a linear layer the input that the weight multiplies, x or 1."""
    values = column
    plain = named.kind == "affine" and column.ndim == 2 and len(index) <= 2
    if plain and not np.delete(column, index[0], axis=1).any():
        values = column[:, index[0]]
    if sample is not None and values.ndim and len(values) == len(delta):
        values = values[sample]
    return ChainFactor("x", named.name, named.op, "column", np.asarray(values), abs(value))


def _check(name: str, value: float, auto: float, scale: float, dtypes: set[torch.dtype]) -> None:
    tolerance = max(_TOLERANCE.get(dtype, 0.1) for dtype in dtypes)
    if not abs(value - auto) <= tolerance * scale + 1e-12:
        raise ValueError(
            f"{name}: the product gives {value!r}, autograd {auto!r}; an op on the way does not "
            "have the Jacobian it shows (a hook that changes gradients, or a random backward)."
        )
