"""What the first of all runs has found: where a script's training begins. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """Where the training begins.

    Attributes:
        call: how many calls of modules with something to train came before the first one that is
            trained; -1: none was.
        backwards: of one update; 0: none was made.
        optimizer: which one steps first, in the order they were made; -1: the script updates by
            hand, or not at all.
        updates: was one made?
        roots: the ids of the modules that were called for the first loss, in order: those that were
            there before the fork have the same in the parent.
        kept: of all that the first trained call was given, which are its loss's targets (places
            among the leaves of (args, kwargs)): a network may work out its own loss.
        why: what ended the search, where nothing was found.
    """

    call: int = -1
    backwards: int = 0
    optimizer: int = -1
    updates: bool = False
    roots: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    why: str = ""
