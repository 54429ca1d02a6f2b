"""The bottom rows of a terminal, kept out of the script's scrolling and given back.

A scroll region (DECSTBM) ends above them, as apt and dpkg do it: whatever writes to the terminal
scrolls above, through whichever stream or process, and nothing of it passes through us. Each change
is one write, which a terminal takes as a whole, and leaves the cursor (with colours and character
sets, DECSC and DECRC) as the script had it.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

# Cursor kept and put back; between them rows are counted from the top, without colours.
_KEEP, _BACK = "\x1b7\x1b[?6l\x1b[0m", "\x1b8"
#: Rows that are left to the script at least; a narrower terminal has no room.
LEAST, NARROW = 6, 24


def taken(count: int, rows: int) -> str:
    """Make room for `count` rows below the cursor, and end the region above them. IND moves down
    in the same column and scrolls only at the bottom: half a line stays where it is."""
    region = f"{_KEEP}\x1b[1;{rows - count}r{_BACK}"
    return "\x1bD" * count + f"\x1b[{count}A" + region


def drawn(lines: Sequence[str], rows: int) -> str:
    """The rows anew; the region, too, for `clear` and `reset` undo it."""
    first = rows - len(lines) + 1
    told = "".join(f"\x1b[{first + i};1H\x1b[2K{line}\x1b[0m" for i, line in enumerate(lines))
    return f"{_KEEP}\x1b[1;{first - 1}r{told}{_BACK}"


def given_back(count: int, rows: int) -> str:
    """The whole terminal scrolls again; our rows are empty."""
    return f"{_KEEP}\x1b[r\x1b[{rows - count + 1};1H\x1b[J{_BACK}"


#: After the window has changed its size nobody knows where our rows are, but below the cursor.
LOST = f"{_KEEP}\x1b[r{_BACK}\x1bD\x1b[2K\x1b[J\x1b[1A"


class BottomRows:
    """Rows of the terminal behind a file descriptor; none are held at first."""

    def __init__(self, fd: int, encoding: str) -> None:
        self.fd, self.encoding = fd, encoding
        self._count, self._rows, self._columns = 0, 0, 0

    def size(self) -> tuple[int, int]:
        """(columns, rows) of the terminal now."""
        columns, rows = os.get_terminal_size(self.fd)
        return columns, rows

    def show(self, lines: Sequence[str]) -> None:
        """These in the bottom rows, each short enough for one; too small a terminal has none."""
        columns, rows = self.size()
        changed = (rows, columns) != (self._rows, self._columns)
        if self._count and changed:
            self._write(LOST)
            self._count = 0
        self._rows, self._columns = rows, columns
        if rows - len(lines) < LEAST or columns < NARROW:
            self.release()
            return
        if len(lines) != self._count:
            self.release()
            self._write(taken(len(lines), rows))
            self._count = len(lines)
        self._write(drawn(lines, rows))

    def release(self) -> None:
        """Leave the terminal as if nothing had been."""
        if self._count:
            self._write(given_back(self._count, self._rows))
            self._count = 0

    def _write(self, text: str) -> None:
        data = text.encode(self.encoding, "replace")
        while data:
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:  # the script reads its terminal without blocking
                select.select([], [self.fd], [], 1.0)
