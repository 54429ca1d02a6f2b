"""Lines for a terminal: broken where they are too long, in characters that it can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..words import breaks, has_wide

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PLAIN = str.maketrans("→·×…–−δΔ│", ">,x.--dD|")
_ONE_LINE = str.maketrans("\n\t", "  ")


class Printer:
    """Writes lines to a console, each one alone: what a file says begins no line of ours."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, *parts: str | tuple[str, str], indent: int = 0, whole: bool = False) -> None:
        """One paragraph; `whole`: one line, cut where the console ends."""
        from rich.text import Text

        body = Text.assemble(*parts)
        body.plain = writable(body.plain.translate(_ONE_LINE), self.console.encoding)
        if whole:
            body.truncate(max(self.console.width - indent, 1))
        print_wrapped(self.console, body, indent, whole)


def print_wrapped(console: Console, body: Text, indent: int, whole: bool = False) -> None:
    """Print text in lines that fit, or `whole` (a table's row)."""
    from rich.text import Text

    width, pieces = console.width - indent, [body]
    if not whole and has_wide(body.plain):  # rich breaks at spaces only, and Chinese has none
        pieces = list(body.divide(breaks(body.plain, width)))
    if not whole:
        pieces = [row for part in pieces for row in part.wrap(console, width)] or [Text()]
    for row in pieces:
        row.rstrip()
        row.pad_left(indent)
        console.print(row, highlight=False, soft_wrap=True)


def writable(text: str, encoding: str) -> str:
    """The same text, as long as before, in characters the terminal can take."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text
