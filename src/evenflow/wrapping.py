"""Lines of a given width in terminal cells, of which a Chinese character takes two."""

from __future__ import annotations

import itertools
import re

#: No line begins with these, and none ends with those.
_NOT_FIRST = "，。、；：！？）》」』”’…·,.;:!?)%"
_NOT_LAST = "（《「『“‘("
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


def cells_of(text: str) -> int:
    """How many cells a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def filled(text: str, cells: int) -> str:
    """Padded on its right; a Chinese character takes two cells."""
    return text + " " * (cells - cells_of(text))


def has_wide(text: str) -> bool:
    """Whether lines may be broken inside of what has no space in it."""
    return bool(_WIDE.search(text))


def breaks(text: str, width: int) -> list[int]:
    """Where to break one paragraph so that no line takes more than `width` cells: offsets.

    Between words, and between Chinese characters but for their punctuation. A word that is
    longer than a line is left for the caller to fold.
    """
    out: list[int] = []
    used = 0
    for match in _PIECE.finditer(text):
        piece = match.group()
        if used and used + cells_of(piece.rstrip()) > width:
            out.append(match.start())
            used = 0
        used += cells_of(piece)
    return out


def wrap(text: str, width: int) -> str:
    """The paragraphs of a text, each broken into lines; lines that are short enough stay."""
    out = []
    for line in text.split("\n"):
        at = [0, *breaks(line, width), len(line)]
        out += [line[a:b].rstrip() for a, b in itertools.pairwise(at)]
    return "\n".join(out)


_ONE = f"[{_NOT_LAST}]*(?:{_WIDE.pattern}|[^\\s{_WIDE.pattern[1:-1]}]+)[{_NOT_FIRST}]*\\s*"
_PIECE = re.compile(f"{_ONE}|\\s+")
