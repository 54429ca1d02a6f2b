"""Which inputs an output, or the loss, depends on: one more backward pass in the scratch copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

#: Indices of a dimension that are told one by one at most, and rows or columns of a picture.
MOST, WIDE = 4096, 64


def reach(loss: Tensor, inputs: Sequence[tuple[str, Tensor]]) -> list[dict[str, Any]]:
    """Of each input the loss's gradient, told by dimension: which indices it reaches.

    `{"name", "shape", "reached": {dim: [0 or 1, ...]}, "picture": rows of "#" and "."}`; the
    picture is of an input's last two dimensions, over samples and channels.
    """
    found = []
    given = [x for _, x in inputs]
    got = torch.autograd.grad(loss, given, retain_graph=True, allow_unused=True)
    for (name, x), g in zip(inputs, got, strict=True):
        hit = torch.zeros_like(x, dtype=torch.bool) if g is None else g != 0
        dims = {str(d): _along(hit, d) for d in range(x.ndim) if x.shape[d] <= MOST}
        told = {"name": name, "shape": list(x.shape), "reached": dims, "any": bool(hit.any())}
        if x.ndim == 4 and max(x.shape[2:]) <= WIDE:
            rows = hit.any(1).any(0).tolist()
            told["picture"] = ["".join("#" if cell else "." for cell in row) for row in rows]
        found.append(told)
    return found


def _along(hit: Tensor, dim: int) -> list[int]:
    rest = [d for d in range(hit.ndim) if d != dim]
    along = hit.any(rest) if rest else hit
    return [int(v) for v in along.tolist()]


def mixing(output: Any, inputs: Sequence[tuple[str, Tensor]]) -> dict[str, Any]:
    """How far the output at one index of a dimension depends on inputs at others.

    `{"input", "output": shapes, "dims": {dim: {"other", "later", "earlier"}}}`: shares of the
    gradient's norm, for the first input and those of the output's first two dimensions that are as
    long as the input's; the largest of three indices. Random cotangents, drawn by a generator of
    their own.
    """
    leaves = [t for t in tree_leaves(output) if isinstance(t, Tensor) and t.requires_grad]
    ys = [t for t in leaves if t.is_floating_point() and t.ndim]
    if not ys or not inputs:
        return {}
    y, x = ys[0], inputs[0][1]
    if x.ndim > 2 and len(y) == x.shape[0] * x.shape[1] != x.shape[0]:
        y = y.reshape(*x.shape[:2], *y.shape[1:])  # positions in a row, as losses want them
    dims = {}
    for d in range(min(2, y.ndim, x.ndim)):
        n = x.shape[d]
        if n == y.shape[d] and n > 1:
            told = [_at(y, x, d, i) for i in sorted({0, n // 3, n // 2})]
            dims[str(d)] = {k: max(t[k] for t in told) for k in told[0]}
    return {"input": list(x.shape), "output": list(y.shape), "dims": dims}


def _at(y: Tensor, x: Tensor, dim: int, i: int) -> dict[str, float]:
    draw = torch.Generator().manual_seed(i)
    part = y.select(dim, i)
    c = torch.randn(part.shape, generator=draw, dtype=torch.float32).to(part)
    got: tuple[Tensor | None, ...] = torch.autograd.grad(
        (part * c).sum(), [x], retain_graph=True, allow_unused=True
    )
    g = got[0]
    if g is None:
        return {"other": 0.0, "later": 0.0, "earlier": 0.0}
    rest = [d for d in range(g.ndim) if d != dim]
    norms = g.detach().double().square().sum(rest) if rest else g.detach().double().square()
    whole = max(float(norms.sum()), 1e-300)
    later, earlier = float(norms[i + 1 :].sum()), float(norms[:i].sum())
    shares = {"other": later + earlier, "later": later, "earlier": earlier}
    return {k: (v / whole) ** 0.5 for k, v in shares.items()}
