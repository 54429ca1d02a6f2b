"""Saying something beside the script, where saying may fail: never the script's concern."""

from __future__ import annotations

import contextlib
import sys
import warnings


class EvenflowWarning(UserWarning):
    """Evenflow stopped watching because of an error of its own; training goes on."""


def say(text: str) -> None:
    """One line on stderr, where there is one that takes it (it may be closed, full or None)."""
    stream = sys.stderr if sys.stderr is not None else sys.__stderr__
    if stream is None:  # print(file=None) would mean stdout
        return
    with contextlib.suppress(Exception):
        print(f"evenflow: {text}", file=stream)


def warn(text: str) -> None:
    """A warning; a line on stderr where the script makes an error of it (filter, `showwarning`)."""
    try:
        warnings.warn(text, EvenflowWarning, stacklevel=3)
    except Exception:
        say(text)
