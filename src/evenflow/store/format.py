"""What a run file is: its marks, its tables, its limits, and the error a bad file raises."""

from __future__ import annotations

import zlib

SUFFIX = ".evenflow"
#: Where runs are written that were given no path; hidden from git by a file of its own.
FOLDER = "evenflow-runs"
#: Mark in SQLite's header (offset 68) that tells our files from all others: "EvFl".
APPLICATION_ID = 0x4576466C
#: `PRAGMA user_version`; a reader accepts its own.
VERSION = 2
#: A run file is thinned when it would grow past this many bytes.
MAX_BYTES = 200_000_000
#: More events than these are counted but not kept: a guard may speak at every step.
MAX_EVENTS = 20_000
#: Most bytes one layout may unpack to, and all layouts of a file: a foreign file could hold bombs.
MAX_LAYOUT_BYTES = 16_000_000
MAX_LAYOUTS_BYTES = 40_000_000

# A reading is one row, so that a kill loses whole steps only; the 4096-byte default page wastes
# least on rows of a few kB (the rest of a row goes to overflow pages, the remainder stays inline).
TABLES: dict[str, str] = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "site": "CREATE TABLE site (id INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    "param": "CREATE TABLE param (id INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    "layout": (
        "CREATE TABLE layout (id INTEGER PRIMARY KEY, source TEXT NOT NULL, channels BLOB NOT NULL)"
    ),
    "reading": (
        "CREATE TABLE reading "
        "(seq INTEGER PRIMARY KEY, step INTEGER NOT NULL, layout INTEGER NOT NULL, "
        "data BLOB NOT NULL)"
    ),
    "curve": (
        "CREATE TABLE curve (seq INTEGER PRIMARY KEY, steps BLOB NOT NULL, losses BLOB NOT NULL)"
    ),
    "event": (
        "CREATE TABLE event "
        "(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, step INTEGER NOT NULL, detail TEXT NOT NULL)"
    ),
    "finding": "CREATE TABLE finding (seq INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    # A checksum a row, in a table of its own: what a row lost from its table was is known, too.
    "checksum": (
        "CREATE TABLE checksum "
        "(part INTEGER NOT NULL, key NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (part, key)) "
        "WITHOUT ROWID"
    ),
}
#: `checksum.part` of each table that has checksums.
PARTS = {name: part for part, name in enumerate(TABLES) if name != "checksum"}


class StoreError(ValueError):
    """A file that cannot be read as a run: the message says which, why, and what to do."""


def row_sum(table: str, *values: int | str | bytes) -> int:
    """The checksum of a row: CRC-32 of its table's name and its values, the key first.

    Every value with its length before it, so that no two rows give the same bytes. CRC-32 tells
    every damage of up to 32 bits in a row, and all but one in 4e9 of others; it is no seal against
    a forger.
    """
    total, small = 0, table.encode()
    for value in values:
        raw = value if type(value) is bytes else str(value).encode("utf-8", "surrogatepass")
        small += b"%d:" % len(raw)
        if (
            len(raw) > 256
        ):  # joined where that costs less than a call, never copied where it is long
            total, small = zlib.crc32(raw, zlib.crc32(small, total)), b""
        else:
            small += raw
    return zlib.crc32(small, total)
