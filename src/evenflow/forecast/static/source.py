"""What stands behind an unseen weight: its law, and what it has revealed so far."""

from __future__ import annotations

import torch
from torch import Tensor

from . import law
from .matrix import RandomMatrix

#: A weight with more elements (1 GiB in float32) is not stored: the error names the op instead.
STORE_LIMIT = 1 << 28


class Source:
    """What all views of one unseen weight share.

    Attributes:
        shape: of the weight. values: its law (see `law`).
        orthogonal: drawn by `nn.init.orthogonal_`: its elements are not independent.
        frozen: the model is built; views now mean the weight, no longer its law.
    """

    def __init__(self, shape: tuple[int, ...], values: Tensor, random: Random) -> None:
        self.shape, self.values, self.random = shape, values, random
        self.orthogonal = False
        self.frozen = False
        self._matrix: RandomMatrix | None = None
        self._stored: Tensor | None = None
        self._parts: dict[int, Source] = {}

    def forget(self) -> None:
        """Be a fresh draw of the same law."""
        self._matrix = self._stored = None
        self._parts = {}

    def part(self, index: int) -> Source:
        """The weight at `index` of the first axis (one expert of many), drawn independently."""
        if index not in self._parts:
            part = Source(self.shape[1:], self.values, self.random)
            part.frozen = True
            self._parts[index] = part
        return self._parts[index]

    def times(self, x_NT: Tensor) -> Tensor:
        """W X [P, T]."""
        if self._must_store(x_NT.shape[1]):
            return self.stored().to(x_NT.dtype) @ x_NT
        return self.matrix().times(x_NT)

    def transposed_times(self, d_PT: Tensor) -> Tensor:
        """Wᵀ D [N, T]."""
        if self._must_store(d_PT.shape[1]):
            return self.stored().to(d_PT.dtype).T @ d_PT
        return self.matrix().transposed_times(d_PT)

    def matrix(self) -> RandomMatrix:
        """What was revealed of a weight [P, N]."""
        if self._matrix is None:
            rows, columns = self.shape
            mean, std = law.moments(self.values)
            self._matrix = RandomMatrix(
                rows, columns, mean, std, self.random.weights, self.random.dtype
            )
        return self._matrix

    def stored(self, why: str = "an operation") -> Tensor:
        """The elements, drawn now if they were not. ValueError above `STORE_LIMIT` elements."""
        if self._stored is None:
            numel = torch.Size(self.shape).numel()
            if numel > STORE_LIMIT:
                raise ValueError(
                    f"{why} needs all elements of a weight of shape {self.shape}: {numel:,} are "
                    f"too many to store (at most {STORE_LIMIT:,})."
                )
            dtype = self.random.dtype
            if self._matrix is not None:
                self._stored = self._matrix.stored()
            elif self.orthogonal:
                mean_square = float(self.values.square().mean())
                self._stored = torch.empty(self.shape, dtype=dtype)
                torch.nn.init.orthogonal_(self._stored, generator=self.random.weights)
                rms = self._stored.square().mean().sqrt()
                self._stored *= mean_square**0.5 / rms
            else:
                self._stored = law.draw(self.values, self.shape, self.random.weights, dtype)
        return self._stored

    def _must_store(self, vectors: int) -> bool:
        """So many vectors would reveal all of it, at more cost than drawing it; or its elements
        are not independent."""
        small = torch.Size(self.shape).numel() <= STORE_LIMIT
        all_of_it = vectors >= min(self.shape)
        return self._stored is not None or (small and (self.orthogonal or all_of_it))


class Random:
    """The random numbers of one unseen model: apart from torch's own, which stay untouched.

    Attributes:
        laws: for the order of a law's values. weights: for what weights reveal.
        dtype: in which products with unseen weights are computed.
    """

    def __init__(self, seed: int, dtype: torch.dtype = torch.float32) -> None:
        self.laws = torch.Generator().manual_seed(seed)
        self.weights = torch.Generator().manual_seed(seed)
        self.dtype = dtype
