"""Units that are alike: equal weights and equal gradients stay equal for ever; units of zeros.

Shapes: a weight's units are its rows, [N, F] with all other dimensions flattened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

#: Of larger weights the first rows are compared, so many elements of them.
LIMIT = 1 << 22


def alike(weight_NF: Tensor, grad_NF: Tensor) -> Tensor:
    """Share of units whose weights and gradient both equal another's, 0 to 1; waits for no device.

    Rows are compared by their products with one fixed vector each: equal rows give equal numbers
    (within rounding), rows drawn at random never do. 0 for fewer than two rows.
    """
    if weight_NF.shape[0] < 2:
        return torch.zeros((), dtype=torch.float64)
    keys, sizes = [], []
    for t_NF in (weight_NF, grad_NF):
        wide = t_NF.dtype if t_NF.dtype in (torch.float32, torch.float64) else torch.float32
        probe = torch.linspace(1.0, 2.0, t_NF.shape[1], device=t_NF.device, dtype=wide).sin()
        t_NF = t_NF.to(wide)
        keys.append(t_NF @ probe)
        sizes.append(torch.linalg.vector_norm(t_NF, dim=1).max())
    order = torch.argsort(keys[0])
    w, g = keys[0][order], keys[1][order]
    near = ((w[1:] - w[:-1]).abs() <= 1e-7 * sizes[0]) & ((g[1:] - g[:-1]).abs() <= 1e-6 * sizes[1])
    edge = near.new_zeros(1)
    twin = torch.cat([near, edge]) | torch.cat([edge, near])
    share: Tensor = twin.to(torch.float32).mean()
    return share


def zero_rows(weight: Tensor) -> Tensor:
    """Share of a weight's units, biases not counted, of which every element is 0."""
    few = _rows(weight, _most(weight))
    share: Tensor = (~(few != 0).any(1)).to(torch.float32).mean()
    return share


def unit_rows(
    named: Mapping[str, Tensor], grads: Mapping[int, Tensor | None]
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Weights by name, with what each unit has of them and of its bias, and the gradient of that:
    (name, [N, F], [N, F]). Only of parameters whose elements can be read. `grads` by id."""
    for name, p in named.items():
        if p.dim() < 2:
            continue
        head, dot, last = name.rpartition(".")
        bias = named.get(head + dot + last.replace("weight", "bias")) if "weight" in last else None
        both = [p] if bias is None or bias is p or bias.shape != p.shape[:1] else [p, bias]
        found = [(t, grads.get(id(t))) for t in both]
        if not all([type(t) is nn.Parameter and g is not None and _plain(t, g) for t, g in found]):
            continue
        rows = _most(p)
        yield (
            name,
            torch.cat([_rows(t, rows) for t, _ in found], 1),
            torch.cat([_rows(g, rows) for _, g in found if g is not None], 1),
        )


def _plain(t: Tensor, g: Tensor) -> bool:
    return type(g) is Tensor and g.layout == torch.strided and g.shape == t.shape


def _most(weight: Tensor) -> int:
    """Rows of a weight that are compared."""
    return max(2, LIMIT // max(1, weight[0].numel()))


def _rows(t: Tensor, rows: int) -> Tensor:
    few = t.detach()[:rows]
    return few.reshape(len(few), -1)
