"""SELU's constants: the λ and α for which N(0, 1) gives mean 0 and variance 1, solved for here.

λ(E max(z, 0) + α E[e^z - 1; z < 0]) = 0 and λ²(E max(z, 0)² + α² E[(e^z - 1)²; z < 0]) = 1 for z
from N(0, 1) (Klambauer et al. 2017, arXiv:1706.02515, eq. 14).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import fsolve
from torch import nn

from evenflow.activations.curves import selu
from evenflow.activations.meanfield import expect

from .base import Claim, Row, Rows

START = 1.0, 1.0
LAYERS = 50


def scaled_elu(x: np.ndarray, scale: float, alpha: float) -> np.ndarray:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def moments(scale: float, alpha: float, q: float = 1.0) -> tuple[float, float]:
    """Mean and second moment of SELU(z), z from N(0, q), by quadrature."""
    return (
        expect(lambda x: scaled_elu(x, scale, alpha), q, kinks=(0.0,)),
        expect(lambda x: scaled_elu(x, scale, alpha) ** 2, q, kinks=(0.0,)),
    )


def solved() -> tuple[float, float]:
    """(λ, α)."""

    def missed(constants: np.ndarray) -> tuple[float, float]:
        mean, second = moments(*constants)
        return mean, second - 1

    scale, alpha = fsolve(missed, START, xtol=1e-13)
    return float(scale), float(alpha)


def torchs() -> tuple[float, float]:
    """(λ, α) read off `nn.SELU`: its value at 1, and its limit on the far left over that."""
    one, left = nn.SELU()(torch.tensor([1.0, -1e3], dtype=torch.float64)).tolist()
    return one, -left / one


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    ours, rows = solved(), Rows()
    for name, (scale, alpha) in {
        "solved": ours,
        "torch.nn.SELU": torchs(),
        "printed with four decimals": (1.0507, 1.6733),
        "printed the wrong way round": (1.6733, 1.0507),
    }.items():
        mean, second = moments(scale, alpha)
        q = 1.0
        for _ in range(LAYERS):
            q = moments(scale, alpha, q)[1]
        figures = {"λ": [scale], "α": [alpha], "mean": [mean], "variance": [second - mean**2]}
        rows.append(Row(name, figures | {f"E x² after {LAYERS} layers": [q]}))
    return rows


def tell(rows: Rows) -> str:
    return (
        f"λ = {rows('solved', 'λ'):.10f} and α = {rows('solved', 'α'):.10f}, as torch has them; "
        f"with four decimals E x² after {LAYERS} layers is "
        f"{rows('printed with four decimals', f'E x² after {LAYERS} layers'):.4f}. Exchanged, as "
        f"is easily done, they make it "
        f"{rows('printed the wrong way round', f'E x² after {LAYERS} layers'):.1e}."
    )


def holds(rows: Rows) -> bool:
    ours = rows("solved", "λ"), rows("solved", "α")
    ends = np.array([1.0, -1e3])
    return (
        abs(ours[0] - 1.0507) < 5e-5
        and abs(ours[1] - 1.6733) < 5e-5
        and all(abs(rows("torch.nn.SELU", k) - v) < 1e-8 for k, v in zip("λα", ours, strict=True))
        and bool(np.allclose(scaled_elu(ends, *ours), selu(ends), atol=1e-8))  # our own cards'
    )


CLAIM = Claim(
    "selu-constants",
    "SELU's constants are λ = 1.0507 and α = 1.6733.",
    "true",
    "by quadrature and root finding in float64",
    measure,
    tell,
    holds,
    random=False,
)
