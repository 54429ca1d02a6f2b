"""Where: a line of the user's own code, as it stood when the run began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
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
        what: their class ("Linear"), of what was made.
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
    what: str = ""
    library: bool = False

    @property
    def place(self) -> str:
        """ "train.py:18", as editors and terminals know it; "cell 4, line 7" of a notebook."""
        if self.file.startswith("cell "):
            return f"{self.file}, line {self.line}"
        return f"{self.file}:{self.line}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, without what is not known; losslessly read back by `from_dict`."""
        return {key: value for key, value in asdict(self).items() if value}

    @classmethod
    def from_dict(cls, d: Any) -> Where:
        """Inverse of `as_dict`; other keys (a report's "source") are passed over.

        Raises ValueError on a foreign value.
        """
        values = {k: d[k] for k in _FORMS if k in d} if isinstance(d, Mapping) else {}
        whole = {"how", "file", "line"} <= values.keys() and values["how"] in HOW
        if not whole or not all(_FORMS[k](v) for k, v in values.items()):
            raise ValueError(f"not a line of code: {d!r:.60}")
        return cls(**values)


def _text(value: Any) -> bool:
    return type(value) is str


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _flag(value: Any) -> bool:
    return type(value) is bool


_FORMS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("how", "file", "function", "what"), _text),
    **dict.fromkeys(("line", "column", "end", "turn", "turns"), _count),
    "library": _flag,
}


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
