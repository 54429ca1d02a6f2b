"""Where: a line of the user's own code, as it stood when the run began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: How a line stands to what it is told of.
HOW = ("made", "called", "stepped")


@dataclass(frozen=True, slots=True)
class Where:
    """A line that built a module or an optimizer (made at), or that ran an operation (called at).

    Attributes:
        how: "made", "called", or "stepped" (an optimizer's update).
        file: below the folder in which the training was started, else absolute; "cell 4" of a
            notebook; of a library its path inside it ("torchvision/models/resnet.py").
        line: from 1.
        function: qualified name ("Net.forward"); "" at the top of a file.
        column, end: of the call in that line, from 1, the end beyond it; 0 where not known.
        turn, turns: "7th of 20" things that this line made for one model; 0 where it made one.
        library: code of a package that is installed, beside the user's own line that called it.

    >>> from evenflow.schema import Where
    >>> Where("made", "train.py", 18, "Net.__init__", turn=7, turns=20).place
    'train.py:18'
    """

    how: str
    file: str
    line: int
    function: str = ""
    column: int = 0
    end: int = 0
    turn: int = 0
    turns: int = 0
    library: bool = False

    @property
    def place(self) -> str:
        """ "train.py:18", as editors and terminals know it; "cell 4, line 7" of a notebook."""
        if self.file.startswith("cell "):
            return f"{self.file}, line {self.line}"
        return f"{self.file}:{self.line}"

    def as_list(self) -> list[str | int]:
        """Plain JSON types, losslessly read back by `from_list`."""
        return [
            *(self.how, self.file, self.line, self.function, self.column, self.end),
            *(self.turn, self.turns, int(self.library)),
        ]

    @classmethod
    def from_list(cls, row: Any) -> Where:
        """Inverse of `as_list`. Raises ValueError on a foreign row."""
        if not isinstance(row, list) or len(row) != 9:
            raise ValueError(f"not a line of code: {row!r:.60}")
        how, file, line, function, column, end, turn, turns, library = row
        texts = all(type(t) is str for t in (how, file, function))
        numbers = line, column, end, turn, turns, library
        if not texts or how not in HOW or not all(_count(n) for n in numbers):
            raise ValueError(f"not a line of code: {row!r:.60}")
        return cls(how, file, line, function, column, end, turn, turns, bool(library))


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def source_of(meta: Mapping[str, Any], where: Where) -> str:
    """The line's text as it was when the run began; "" where it was not kept.

    `meta` is `Run.meta`: "source" has the texts, by file and number of the line.
    """
    return source_around(meta, where, 0, 0).get(where.line, "")


def source_around(meta: Mapping[str, Any], where: Where, before: int, after: int) -> dict[int, str]:
    """Texts of the line and of those around it that were kept, by number."""
    kept = meta.get("source")
    lines = kept.get(where.file) if isinstance(kept, Mapping) else None
    if not isinstance(lines, Mapping) or where.library:
        return {}
    around = range(where.line - before, where.line + after + 1)
    return {n: text for n in around if isinstance(text := lines.get(str(n)), str)}
