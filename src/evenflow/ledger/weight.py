"""One weight's derivative as a product: what `Ledger.parameter` gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SHOWN = 6  # numbers of one factor that are written out
_FIGURES = 12  # factors written out in the one-line product


@dataclass(frozen=True, slots=True)
class ChainFactor:
    """One Jacobian of the product.

    Attributes:
        symbol: "∂C/∂a" (the loss), "φ'(z)" (a diagonal Jacobian), "W" (an affine layer's),
            "J" (any other), "x" (∂z/∂w for the weight asked for: its input).
        name, op: of the place, as in the ledger.
        form: how `values` is to be read: "row" (dC/d(output), per sample), "diagonal" (the
            diagonal, per sample), "matrix" ([n_out, n_in], the same for each sample), "blocks"
            ([B, n_out, n_in]), "dense" (the whole batch as one vector), "column".
        values: float64. With one sample, that sample's.
        error: ‖δ‖ after this factor: of the product so far.
    """

    symbol: str
    name: str
    op: str
    form: str
    values: Floats
    error: float


@dataclass(frozen=True, slots=True)
class WeightChain:
    """∂C/∂w of one weight: `factors` multiplied from the first (the loss) to the last (x).

    Attributes:
        parameter, index, sample: as asked for.
        factors: from the loss to the weight. For single units they are the numbers of the
            textbook product: 2n+3 of them for the first weight of n hidden layers.
        value: their product, summed over the batch if no sample was asked for.
        autograd: the number autograd itself computes.
    """

    parameter: str
    index: tuple[int, ...]
    sample: int | None
    factors: tuple[ChainFactor, ...]
    value: float
    autograd: float

    def as_dict(self) -> dict[str, Any]:
        """Plain types for JSON; factors of more than 4096 numbers give their shape only."""
        return {
            "schema": 1,
            "parameter": self.parameter,
            "index": list(self.index),
            "sample": self.sample,
            "value": self.value,
            "autograd": self.autograd,
            "factors": [
                {
                    **{key: getattr(f, key) for key in ("symbol", "name", "op", "form")},
                    "shape": list(f.values.shape),
                    "values": f.values.tolist() if f.values.size <= 4096 else None,
                    "error": f.error,
                }
                for f in self.factors
            ],
        }

    def __str__(self) -> str:
        weight = f"{self.parameter}[{', '.join(map(str, self.index))}]"
        whose = "the batch" if self.sample is None else f"sample {self.sample}"
        lines = [f"∂C/∂{weight}, {whose}: {len(self.factors)} factors"]
        lines += [f"  {self._product()} = {self.value:.10g}"]
        lines += [f"  autograd: {self.autograd:.10g}", ""]
        numbers = [_numbers(f.values) for f in self.factors]
        at = max(len(f.name) for f in self.factors) + 2
        wide = max(map(len, (*numbers, "numbers"))) + 2
        lines.append(f"  {'factor':<8}{'at':<{at}}{'numbers':<{wide}}‖δ‖ so far")
        for f, shown in zip(self.factors, numbers, strict=True):
            lines.append(f"  {f.symbol:<8}{f.name:<{at}}{shown:<{wide}}{f.error:.4g}")
        return "\n".join(lines)

    def _product(self) -> str:
        shown: list[str] = []
        for f in self.factors:
            one = f.values.size == 1
            shown.append(f"{float(f.values.reshape(-1)[0]):.4g}" if one else f.symbol)
        if len(shown) > 2 * _FIGURES:
            shown = [*shown[:_FIGURES], "...", *shown[-_FIGURES:]]
        return " × ".join(shown)


def _numbers(values: Floats) -> str:
    flat = values.reshape(-1)
    if flat.size <= _SHOWN:
        return "  ".join(f"{v:.4g}" for v in flat)
    shape = "×".join(map(str, values.shape))
    return f"{shape} numbers, {flat.min():.3g} to {flat.max():.3g}"
