"""Judging files that may come from anyone: whatever they bring, a judgement or one sentence."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..lang import _
from ..showing import visible
from .runs import CannotJudge


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Whatever is judged and told within is of this file, and may be absurd.

    NumPy's warnings about its numbers are for nobody; what a rule could not judge is said in a
    line. An error that no check foresaw is one sentence, too, and exit code 3.
    """
    import numpy as np

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            yield
    except (RecursionError, MemoryError, ArithmeticError, LookupError, TypeError) as error:
        said = _("{path!r} cannot be judged: what it holds makes no sense ({why}).")
        why = visible(f"{type(error).__name__}: {error}"[:200])
        raise CannotJudge(said.format(path=str(path), why=why)) from error
    for each in heard:
        if str(each.message).startswith("Evenflow"):
            print(f"evenflow: {visible(str(each.message))}", file=sys.stderr)
