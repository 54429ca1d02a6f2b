"""A random matrix that is never stored: it reveals only what it does to the vectors it is shown.

What W with independent N(m, s²) entries does to few vectors is itself Gaussian: for orthonormal U,
W U has independent N(0, s²) entries, whatever U is. And what was revealed so far (W Q = F and
Wᵀ P = G) says nothing about the rest: W = F Qᵀ + P Gᵀ (I - Q Qᵀ) + (I - P Pᵀ) W̃ (I - Q Qᵀ), with
W̃ a fresh copy.
This is the conditioning step of Bolthausen (2014) and Bayati & Montanari (2011); Lu (2021,
"Householder dice", arXiv:2007.10091) simulates dynamics with it. Exact in law, also for the
backward pass through weights that the forward pass has used, and for weights used twice.

Shapes: W [P, N], X [N, T] inputs, D [P, T] layer errors, R and S directions revealed so far.
A pass of T vectors costs O(T² (N + P)) and no N P.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: A direction with less than this share of a vector's energy is rounding, not signal.
_FLOOR = 1e-12


class RandomMatrix:
    """W [rows, columns], entries independent with the given mean and standard deviation.

    Entries are taken to be Gaussian; for other laws (uniform, truncated) the result is that of
    the central limit theorem over rows and columns. Draws from `generator` (the default one if
    None). Computes in `dtype`, told orthonormal bases apart in float64.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        mean: float,
        std: float,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.rows, self.columns, self.mean, self.std = rows, columns, mean, std
        self._generator = generator
        self._dtype = dtype
        # what has been revealed so far
        self._q_NR = torch.empty(self.columns, 0, dtype=self._dtype)  # orthonormal
        self._f_PR = torch.empty(self.rows, 0, dtype=self._dtype)  # (W - m) Q
        self._p_PS = torch.empty(self.rows, 0, dtype=self._dtype)  # orthonormal
        self._g_NS = torch.empty(self.columns, 0, dtype=self._dtype)  # (W - m)ᵀ P

    def times(self, x_NT: Tensor) -> Tensor:
        """W X [P, T] for X [N, T]."""
        y, self._q_NR, self._f_PR = self._product(
            x_NT, self._q_NR, self._f_PR, self._p_PS, self._g_NS
        )
        return y

    def transposed_times(self, d_PT: Tensor) -> Tensor:
        """Wᵀ D [N, T] for D [P, T]."""
        y, self._p_PS, self._g_NS = self._product(
            d_PT, self._p_PS, self._g_NS, self._q_NR, self._f_PR
        )
        return y

    def stored(self) -> Tensor:
        """All of W [P, N] after all, in agreement with what was revealed so far."""
        w = torch.empty(self.rows, self.columns, dtype=self._dtype)
        w.normal_(generator=self._generator).mul_(self.std)
        w -= self._p_PS @ (self._p_PS.T @ w - self._g_NS.T)
        w += (self._f_PR - w @ self._q_NR) @ self._q_NR.T
        return w + self.mean

    def _product(
        self, x_NT: Tensor, q: Tensor, f: Tensor, p: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """W X, and q, f with the directions of X added, as far as they are new (told for `times`;
        the transpose is the same with the sides changed)."""
        x = x_NT.detach().to(self._dtype)
        rest = x - q @ (q.T @ x)
        rest = rest - q @ (q.T @ rest)  # twice: Gram-Schmidt once is not orthogonal enough
        u = _orthonormal(rest, x)
        if u.shape[1]:
            z = torch.empty(len(f), u.shape[1], dtype=self._dtype)
            z.normal_(generator=self._generator).mul_(self.std)
            known = g.T @ u  # Pᵀ W U
            q, f = torch.cat([q, u], 1), torch.cat([f, z + p @ (known - p.T @ z)], 1)
        y = f @ (q.T @ x)
        if self.mean:
            y = y + self.mean * x.sum(0, keepdim=True)
        return y.to(x_NT.dtype), q, f


def _orthonormal(rest: Tensor, whole: Tensor) -> Tensor:
    """Orthonormal basis [N, K] of the columns of `rest` [N, T], without directions that are
    rounding errors beside the columns of `whole` [N, T]."""
    if not bool(torch.isfinite(whole).all()):
        raise ValueError(
            "the signal is not finite where it reaches a weight that is not stored: the network "
            "overflows at its initialisation"
        )
    # Each column by its own length: one strong sample must not hide the others. The largest
    # element goes first, since the square of 1e-200 vanishes.
    w = whole.double()
    largest = w.abs().amax(0)
    live = largest > 0
    length = largest[live] * torch.linalg.vector_norm(w[:, live] / largest[live], dim=0)
    r = rest[:, live].double() / length
    energy, vectors = torch.linalg.eigh(r.T @ r)
    keep = energy > _FLOOR
    basis: Tensor = r @ (vectors[:, keep] / energy[keep].sqrt())
    return basis.to(rest.dtype)
