"""Real data, small enough for seconds: scikit-learn's own sets, and Python's own text.

Every function gives `Split`s of float32 or int64 tensors, the same at every call: what varies
with the seed of a case is its weights and its batches, never its data.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Split(NamedTuple):
    """Training and held-out examples: x [N, ...], y [N] or [N, K]."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def _sklearn(loader: str, **options: Any) -> tuple[Any, Any]:
    datasets = importlib.import_module("sklearn.datasets")
    return getattr(datasets, loader)(return_X_y=True, **options)  # type: ignore[no-any-return]


def split(x: Any, y: Any, dtype: torch.dtype) -> Split:
    """Every fourth example of a fixed shuffle is held out."""
    order = np.random.RandomState(0).permutation(len(x))
    held = np.arange(len(x)) % 4 == 3
    xs = torch.from_numpy(np.asarray(x, dtype=np.float32)[order])
    ys = torch.from_numpy(np.asarray(y)[order]).to(dtype)
    h = torch.from_numpy(held)
    return Split(xs[~h], ys[~h], xs[h], ys[h])


@functools.cache
def shuffled(d: Split) -> Split:
    """The mistake: inputs and labels shuffled apart."""
    order = torch.randperm(len(d.y), generator=torch.Generator().manual_seed(1))
    return d._replace(y=d.y[order])


def _load(loader: str, dtype: torch.dtype, **options: Any) -> Split:
    return split(*_sklearn(loader, **options), dtype)


def digits(scale: str = "standard") -> Split:
    """1797 images of 8 x 8 flattened to 64; scale "raw" (0..16), "unit" (0..1), "standard"."""
    d = _load("load_digits", torch.int64)
    if scale == "raw":
        return d
    x, x_test = d.x / 16, d.x_test / 16
    if scale == "standard":  # one mean and deviation for all pixels, as is done for MNIST
        mean, std = x.mean(), x.std()
        x, x_test = (x - mean) / std, (x_test - mean) / std
    return Split(x, d.y, x_test, d.y_test)


def standardised(d: Split) -> Split:
    """Each feature to mean 0 and deviation 1, by the training half's figures."""
    mean, std = d.x.mean(0), d.x.std(0) + 1e-8
    return d._replace(x=(d.x - mean) / std, x_test=(d.x_test - mean) / std)


def breast_cancer(scaled: bool = True) -> Split:
    """569 tumours, 30 features between 1e-3 and 4e3 in size, 2 classes."""
    d = _load("load_breast_cancer", torch.int64)
    return standardised(d) if scaled else d


def wine(scaled: bool = True) -> Split:
    """178 wines, 13 features between .1 and 1.7e3 in size, 3 classes."""
    d = _load("load_wine", torch.int64)
    return standardised(d) if scaled else d


def iris(scaled: bool = True) -> Split:
    """150 flowers, 4 features, 3 classes."""
    d = _load("load_iris", torch.int64)
    return standardised(d) if scaled else d


def diabetes(scaled: bool = True, target: str = "standard") -> Split:
    """442 patients, 10 features, progression 25..346 as [N, 1]; target "standard" or "raw"."""
    d = _load("load_diabetes", torch.float32, scaled=False)
    d = d._replace(y=d.y[:, None], y_test=d.y_test[:, None])
    if scaled:
        d = standardised(d)
    return standard_targets(d) if target == "standard" else d


def standard_targets(d: Split) -> Split:
    """All targets together to mean 0 and deviation 1, by the training half's figures."""
    mean, std = d.y.mean(), d.y.std()
    return d._replace(y=(d.y - mean) / std, y_test=(d.y_test - mean) / std)


def _licence() -> str:
    """Python's licence as it lies beside the standard library; its help topics if it does not."""
    library = os.path.dirname(os.__file__)
    for folder in (library, os.path.dirname(library), os.path.dirname(os.path.dirname(library))):
        for name in ("LICENSE.txt", "LICENSE"):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    return f.read()
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    return "\n".join(topics[k] for k in sorted(topics))[:14000]


class Text(NamedTuple):
    """Characters as numbers below `size`: `train` [N] and `test` [M]."""

    train: Tensor
    test: Tensor
    size: int


@functools.cache
def text() -> Text:
    """Python's licence as `characters`."""
    return characters(_licence())


def characters(raw: str) -> Text:
    """Lower case, white space as one blank, rare characters as one; the last fifth is held out."""
    raw = " ".join(raw.lower().split())
    alphabet = sorted(set("abcdefghijklmnopqrstuvwxyz ,.()-") | {"\0"})
    index = {c: i for i, c in enumerate(alphabet)}
    ids = torch.tensor([index.get(c, 0) for c in raw], dtype=torch.int64)
    cut = len(ids) * 4 // 5
    return Text(ids[:cut], ids[cut:], len(alphabet))
