"""What stands behind an unseen weight: its law, and what it has revealed so far."""

from __future__ import annotations

from collections.abc import Callable

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
        trainable: a gradient is wanted.
        given: the elements, where initialisation wrote data (sinusoids) instead of drawing them.
        whole: of a slice under initialisation: what it is a slice of, and how it is cut out.
    """

    def __init__(self, shape: tuple[int, ...], values: Tensor, random: Random) -> None:
        self.shape, self.values, self.random = shape, values, random
        self.orthogonal = False
        self.frozen = False
        self.trainable = True
        self.given: Tensor | None = None
        self.whole: tuple[Source, Callable[[Tensor], Tensor]] | None = None
        self._matrix: RandomMatrix | None = None
        self._stored: Tensor | None = None
        self._parts: dict[int, Source] = {}

    def part(self, index: int) -> Source:
        """The weight at `index` of the first axis (one expert of many), drawn independently."""
        if index not in self._parts:
            part = Source(self.shape[1:], self.values, self.random)
            part.frozen, part.trainable = True, self.trainable
            part.given = None if self.given is None else self.given[index]
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

    def known(self) -> Tensor | None:
        """The elements while the model is built, where they are data; to be written in place."""
        if self.whole is None:
            return self.given
        source, cut = self.whole
        elements = source.known()
        return None if elements is None else cut(elements)

    def write(self, data: Tensor) -> None:
        """Data in place of the law. Lost, but for the law, in a slice of a weight whose other
        elements are random, and where there are too many to store."""
        self._constant_known()
        elements = self.known()
        if elements is not None:
            elements.copy_(data)
        elif self.whole is None and torch.Size(self.shape).numel() <= STORE_LIMIT:
            self.given = data.expand(self.shape).to(self.random.dtype, copy=True)

    def drawn_anew(self) -> None:
        """The law changed, and says all: elements that were data are drawn from it."""
        elements = self.known()
        if self.whole is None:
            self.given = None
        elif elements is not None:
            elements.copy_(law.draw(self.values, self.shape, self.random.laws, elements.dtype))

    def _constant_known(self) -> None:
        """A weight of equal elements, into a slice of which data is written, is data."""
        top = self
        while top.whole is not None:
            top = top.whole[0]
        value = float(top.values[0])
        small = torch.Size(top.shape).numel() <= STORE_LIMIT
        if top.given is None and small and bool((top.values == value).all()):
            top.given = torch.full(top.shape, value, dtype=self.random.dtype)

    def stored(self, why: str = "an operation") -> Tensor:
        """The elements, drawn now if they were not. ValueError above `STORE_LIMIT` elements."""
        if self.given is not None:
            return self.given
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
        if self._stored is not None or self.given is not None:
            return True
        return small and (self.orthogonal or vectors >= min(self.shape))


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
