"""One thread for small networks: more only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import torch

#: Multiplications in a batch's largest layer up to which one thread is used. Two threads of a quiet
#: machine train 128 units a layer no faster and 512 a quarter faster; with another process on the
#: second core they took 40 times as long (docs/decisions.md, 47).
SMALL = 1 << 22


@contextmanager
def one() -> Iterator[None]:
    """One thread for torch in here; as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def few(widths: tuple[int, ...], batch: int) -> AbstractContextManager[None]:
    """`one`, if layers of these widths (units from the inputs to the outputs) are small for a batch
    of so many rows; else as many threads as there are."""
    largest = max(batch * a * b for a, b in pairwise(widths))
    return one() if largest <= SMALL else nullcontext()
