"""One thread for small networks: more only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch

#: Multiplications in a batch's largest layer up to which one thread is used. Two threads of a quiet
#: machine train 128 units a layer no faster and 512 a quarter faster; with another process on the
#: second core they took 40 times as long (docs/decisions.md, 47).
SMALL = 1 << 22


@contextmanager
def few(widths: tuple[int, ...], batch: int) -> Iterator[None]:
    """One thread for torch in here, if layers of these widths are small; as it was afterwards.

    Args:
        widths: units from the inputs to the outputs.
        batch: rows.
    """
    before = torch.get_num_threads()
    largest = max(batch * a * b for a, b in pairwise(widths))
    if before == 1 or largest > SMALL:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
