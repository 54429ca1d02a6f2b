"""What a user runs: a script or a module, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A script as the user would run it.

    Attributes:
        target: path of a script, or a module's name if `module`.
        folder: absolute path of the folder the command was given in.
    """

    target: str
    folder: str
    args: tuple[str, ...] = ()
    module: bool = False
