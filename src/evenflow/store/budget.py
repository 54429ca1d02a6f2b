"""What a file may cost whoever reads it: bytes, rows, memory and processor time, for all of it."""

from __future__ import annotations

import time

from .format import MAX_LAYOUTS_BYTES

#: Most processor seconds a file may take; the largest of ours takes two.
SECONDS = 8.0
#: Most bytes: no run comes near it.
BYTES = 1_000_000_000
#: Most rows, of all tables together.
ROWS = 3_000_000
#: Bytes of memory that all records together may take when parsed.
MEMORY = 150_000_000
#: Bytes of one record.
RECORD = 4_000_000


class TooMuch(ValueError):
    """The file asks for more than a run may; the message says what of."""


class ReadingBudget:
    """Counts while a file is read. SQLite's pages can be shared by many rows in a forged file, so
    that 100 kB hold rows without end; but no true file has more rows or bytes than fit into it.

    Args:
        size: bytes of the file and its log.
    """

    def __init__(self, size: int) -> None:
        self._bytes = min(size, BYTES)
        self._rows = min(size // 6 + 100, ROWS)  # a row takes 6 bytes at least
        self._memory = MEMORY
        self._layouts = MAX_LAYOUTS_BYTES
        self._until = time.thread_time() + SECONDS

    def late(self) -> bool:
        """Is the time over? Also what SQLite asks every so many of its steps."""
        return time.thread_time() > self._until

    def check_time(self) -> None:
        """Raises TooMuch when the time is over."""
        if self.late():
            raise TooMuch(f"it takes longer than {SECONDS:.0f} s to read")

    def row(self, size: int) -> None:
        """A row of so many bytes."""
        self._rows -= 1
        self._bytes -= size
        if self._rows < 0:
            raise TooMuch("it holds more rows than a file of its size can")
        if self._bytes < 0:
            raise TooMuch("its rows hold more bytes than the file does")
        if not self._rows & 1023:
            self.check_time()

    def record(self, text: bytes) -> None:
        """A JSON text is to be parsed: each value in it takes some 64 bytes, a table 200."""
        if len(text) > RECORD:
            raise TooMuch(f"it holds a record of {len(text)} bytes")
        values = text.count(b",") + text.count(b"[") + text.count(b":")
        self._memory -= len(text) + 64 * values + 200 * text.count(b"{")
        if self._memory < 0:
            raise TooMuch("its records would take too much memory")

    def layout(self, size: int) -> None:
        """A layout has unpacked to so many bytes."""
        self._layouts -= size
        if self._layouts < 0:
            raise TooMuch("its layouts unpack to too many bytes")
        self.check_time()
