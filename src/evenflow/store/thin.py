"""Thinning: what goes when a run file is full. Findings, events and the recent past stay."""

from __future__ import annotations

import sqlite3

import numpy as np

from .format import PARTS, row_sum

#: Of the oldest half, this many first steps are never dropped: a start explains most faults.
BIRTH = 16
#: Losses of steps may take this part of the file; past it the older half is halved.
CURVE_SHARE = 0.2


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something (freed pages are used again by later rows)."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def thin_readings(db: sqlite3.Connection) -> int:
    """Drop about half of the older half of the readings; the number dropped.

    What stays is evenly spaced in steps, so that a long run keeps its whole history at one
    resolution, beside a dense birth and a dense recent past. Spaced layout by layout: where steps
    with and without the full readings alternate, one of the two kinds would go whole.
    """
    rows = db.execute("SELECT seq, step, layout FROM reading ORDER BY seq").fetchall()
    older = rows[BIRTH : max(BIRTH, len(rows) // 2)]
    if len({layout for _, _, layout in older}) > len(older) // 4:
        older = [(seq, step, 0) for seq, step, _ in older]  # layouts that hardly ever repeat
    gone: list[tuple[int]] = []
    gap = 1
    while len(gone) < len(older) / 4 and gap < 2**62:
        gap *= 2
        gone = _closer_than(gap, older)
    db.executemany("DELETE FROM reading WHERE seq = ?", gone)
    db.executemany(f"DELETE FROM checksum WHERE part = {PARTS['reading']} AND key = ?", gone)
    db.execute("DELETE FROM layout WHERE id NOT IN (SELECT layout FROM reading)")
    db.execute(
        f"DELETE FROM checksum WHERE part = {PARTS['layout']} "
        "AND key NOT IN (SELECT id FROM layout)"
    )
    return len(gone)


def _closer_than(gap: int, rows: list[tuple[int, int, int]]) -> list[tuple[int]]:
    """Rows whose step follows the last kept one of their layout by less than `gap`."""
    kept: dict[int, int] = {}
    gone = []
    for seq, step, layout in rows:
        if layout in kept and 0 <= step - kept[layout] < gap:
            gone.append((seq,))
        else:
            kept[layout] = step
    return gone


def thin_curve(db: sqlite3.Connection) -> int:
    """Drop every other loss of the older half of the curve; the number dropped."""
    rows = db.execute("SELECT seq, steps, losses FROM curve ORDER BY seq").fetchall()
    older = rows[: (len(rows) + 1) // 2]
    if not older:
        return 0
    steps = np.frombuffer(b"".join(row[1] for row in older), "<i8")
    losses = np.frombuffer(b"".join(row[2] for row in older), "<f8")
    if len(steps) < 2 * BIRTH:
        return 0
    last = np.diff(steps, append=steps[-1] + 1) != 0  # of a step told twice in a row the latest
    before, steps, losses = len(steps), steps[last], losses[last]
    seq, part = older[-1][0], PARTS["curve"]
    db.execute("DELETE FROM curve WHERE seq <= ?", (seq,))
    db.execute("DELETE FROM checksum WHERE part = ? AND key <= ?", (part, seq))
    row = (seq, steps[::2].tobytes(), losses[::2].tobytes())
    db.execute("INSERT INTO curve VALUES (?, ?, ?)", row)
    db.execute("INSERT INTO checksum VALUES (?, ?, ?)", (part, seq, row_sum("curve", *row)))
    return before - len(steps[::2])


def curve_bytes(db: sqlite3.Connection) -> int:
    """Bytes the curve takes."""
    rows, size = db.execute("SELECT count(*), total(length(steps)) FROM curve").fetchone()
    return int(32 * rows + 2 * size)


def thin(db: sqlite3.Connection, max_bytes: int) -> dict[str, int]:
    """Make room: at least a tenth of `max_bytes` where there is enough to drop.

    Returns what was dropped, empty if there was nothing that may be.
    """
    dropped = {"readings": 0, "losses": 0}
    if curve_bytes(db) > CURVE_SHARE * max_bytes:
        dropped["losses"] += thin_curve(db)
    while used_bytes(db) > 0.9 * max_bytes:  # each turn frees an eighth
        count = thin_readings(db)
        if count == 0:
            break
        dropped["readings"] += count
    return {what: count for what, count in dropped.items() if count}
