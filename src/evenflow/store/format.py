"""What a run file is: its marks, its tables, its limits, and the error a bad file raises."""

from __future__ import annotations

SUFFIX = ".evenflow"
#: Mark in SQLite's header (offset 68) that tells our files from all others: "EvFl".
APPLICATION_ID = 0x4576466C
#: `PRAGMA user_version`; a reader accepts its own and older ones.
VERSION = 1
#: A run file is thinned when it would grow past this many bytes.
MAX_BYTES = 200_000_000
#: More events than these are counted but not kept: a guard may speak at every step.
MAX_EVENTS = 20_000
#: Most bytes one layout may unpack to: a foreign file could hold a zlib bomb.
MAX_LAYOUT_BYTES = 64_000_000

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
}


class StoreError(ValueError):
    """A file that cannot be read as a run: the message says which, why, and what to do."""
