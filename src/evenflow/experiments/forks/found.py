"""What the first of all runs has found: where a script's training begins. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from ...lang import N_

#: What a process says that cannot be forked.
AGAIN = "no-fork"

#: Why a run came to nothing; translated when shown.
LATE = N_("the time for a check-up is over")
NO_ANSWER = N_("no answer came in time")
ENDED = N_("the script ended before")
OTHER_CALL = N_("the batch cannot be repeated: its next step calls the network otherwise")
OTHER_LOSS = N_("the batch cannot be repeated: its next step works out its loss otherwise")
TURNS = N_("the batch cannot be repeated: several optimizers take turns")
NEVER = N_("the script ended, and no backward of a module's output was seen")
NO_FORWARD = N_("the script ended, and no module with something to train was called")


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where the training begins.

    Attributes:
        call: how many calls of modules with something to train came before the first one that is
            trained; -1: none was.
        backwards: of one update; 0: none was made.
        others: backwards of the next update that belong to other optimizers: a generator's loss
            comes between two of its discriminator's.
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
    others: int = 0
    optimizer: int = -1
    updates: bool = False
    roots: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    why: str = ""


def reason(error: BaseException | None) -> str:
    """Why a script ended; "" where it ended well."""
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return ""
    return f"{type(error).__name__}: {error}".strip(": ")[:500]
