"""A script's own loop as a bench: at its first training forward processes are forked off, each
changes one thing, runs on, and tells what came of it. Nothing that it does is kept.

Importing it costs the standard library only: the process imports it before the script runs.
"""

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .conducting import CannotExamine as CannotExamine
    from .conducting import examine as examine

__getattr__, __dir__ = lazily(__name__, {"conducting": "CannotExamine examine"})
