"""What a patch is: new texts, their diff, and what was left to the reader."""

from __future__ import annotations

from dataclasses import dataclass

from ..lang import _
from ..treatments import Spot


class CannotPatch(ValueError):
    """No patch can be made of these sources; the message says why."""


class Unfit(Exception):
    """The script's form allows no automatic edit; the message says what in it does not."""

    def __init__(self, why: str, spot: Spot | None = None) -> None:
        super().__init__(why)
        self.spot = spot


@dataclass(frozen=True, slots=True)
class Note:
    """What no automatic edit could do: the treatment, the line if one is known, and what to write.

    `why` says what in the script's form forbids the edit; `code` is the change in words or code.
    """

    treatment: str
    why: str
    code: str
    spot: Spot | None = None

    def __str__(self) -> str:
        place = f"{self.spot.file}:{self.spot.line}: " if self.spot is not None else ""
        said = _("{place}{treatment}: {why} By hand: {code}")
        return said.format(place=place, treatment=self.treatment, why=self.why, code=self.code)


@dataclass(frozen=True, slots=True)
class Done:
    """One edit that was made: for which treatment, in which file, and what it does."""

    treatment: str
    file: str
    what: str


@dataclass(frozen=True, slots=True)
class Patch:
    """An edit of a script in plain PyTorch.

    Attributes:
        treatments: the text of the course it stands for.
        before, after: each changed file's bytes, by path relative to the folder.
        diff: a unified diff of the two, as `git apply` and `patch -p1` take it.
        done, notes: what was edited, and what could not be.
    """

    treatments: str
    before: dict[str, bytes]
    after: dict[str, bytes]
    diff: bytes
    done: tuple[Done, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def whole(self) -> bool:
        """Every treatment was edited: nothing is left to do by hand."""
        return bool(self.after) and not self.notes
