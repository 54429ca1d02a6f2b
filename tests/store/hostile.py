"""Run files as an enemy or a bad disk makes them: by bytes, and by structure with true checksums.

As a program it is the fuzz test's child, which judges many of them under limits:

    python hostile.py BASE FIRST LAST    (a JSON record of what happened on stdout)
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import sqlite3
import struct
import sys
import time
import unicodedata
import zlib
from pathlib import Path
from typing import Any

TABLES = ("meta", "site", "param", "layout", "reading", "curve", "event", "finding")
PAGE = 4096
#: What is shown of this must be one harmless line.
EVIL = (
    "\x1b]0;PWNED\x07\x1b[2J\x1b[31m\x9b31m\u202eevil\r\nevenflow  HEALTHY  No fault was found.\n"
    "\x1b]8;;http://evil\x07\u2028\ud800<script>alert(1)</script>\"'>[bold]{0}%s"
)
RAW = ("1" * 401, "-" + "9" * 5000, "1e999", "-1e999", "NaN", "1e308", str(2**63), "-1", "0.5")
VALUES: tuple[Any, ...] = (
    2**31,
    2**53 - 1,
    2**62,
    10**9,
    -7,
    0,
    1e308,
    5e-324,
    EVIL,
    "",
    "x" * 100_000,
    None,
    True,
    [],
    {},
    [[[[[[[[]]]]]]]],
    {EVIL: EVIL},
    "RAW",
)
FORMS = ("by bytes", "by structure")


def crc(data: bytes) -> int:
    """CRC-32, bit by bit."""
    out = 0xFFFFFFFF
    for byte in data:
        out ^= byte
        for _ in range(8):
            out = (out >> 1) ^ (0xEDB88320 if out & 1 else 0)
    return out ^ 0xFFFFFFFF


def written(table: str, row: tuple[Any, ...]) -> bytes:
    """The bytes a row's checksum is of."""
    out = table.encode()
    for value in row:
        raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        out += str(len(raw)).encode() + b":" + raw
    return out


def seal(db: sqlite3.Connection) -> None:
    """Give every row the checksum it should have: what is forged is then as if it were ours."""
    db.execute("DELETE FROM checksum")
    db.text_factory = bytes
    for part, table in enumerate(TABLES):
        for row in db.execute(f"SELECT * FROM {table}").fetchall():
            key = row[0].decode("utf-8", "replace") if isinstance(row[0], bytes) else row[0]
            total = zlib.crc32(written(table, row))
            db.execute("INSERT OR REPLACE INTO checksum VALUES (?, ?, ?)", (part, key, total))
    db.text_factory = str


def by_bytes(data: bytes, dice: random.Random) -> bytes:
    """Flips, overwritten stretches, pages exchanged, doubled, cut off, numbers of the header."""
    out = bytearray(data)
    kind = dice.randrange(8)
    if kind == 0:
        out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)
    elif kind == 1:
        for _ in range(dice.choice((2, 20, 200))):
            out[dice.randrange(100, len(out))] = dice.randrange(256)
    elif kind == 2:
        at = dice.randrange(len(out))
        out[at : at + dice.choice((1, 16, 4096))] = bytes([dice.choice((0, 255))]) * 16
    elif kind == 3:
        del out[dice.randrange(17, len(out)) :]
    elif kind == 4:
        one, two = (PAGE * dice.randrange(1, len(out) // PAGE) for _ in range(2))
        out[one : one + PAGE], out[two : two + PAGE] = out[two : two + PAGE], out[one : one + PAGE]
    elif kind == 5:
        at = dice.choice((16, 18, 19, 20, 21, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 92))
        out[at : at + 4] = struct.pack(">I", dice.choice((0, 1, 2, 7, 2**16, 2**31, 2**32 - 1)))
    elif kind == 6:
        return bomb(bytes(out), dice.randrange(1, 12), dice.choice((2, 3, 5)))
    else:  # the head of a page: its kind, its cells, where they begin
        at = PAGE * dice.randrange(1, len(out) // PAGE)
        out[at + dice.randrange(12)] = dice.randrange(256)
    return bytes(out)


def bomb(data: bytes, root: int, levels: int) -> bytes:
    """The b-tree at page `root` with inner pages that name one child again and again."""
    out = bytearray(data)
    if root * PAGE > len(out):
        return data
    page = bytes(out[(root - 1) * PAGE : root * PAGE])
    if page[0] == 5:
        child = struct.unpack(">I", page[8:12])[0]
    else:
        out += page
        child = len(out) // PAGE
    for level in range(levels):
        cells = [struct.pack(">IB", child, min(i, 127)) for i in range(580)]
        new = bytearray(PAGE)
        new[0] = 5
        new[3:5], new[5:7] = struct.pack(">H", 580), struct.pack(">H", PAGE - 5 * 580)
        new[8:12] = struct.pack(">I", child)
        new[12 : 12 + 2 * 580] = b"".join(struct.pack(">H", PAGE - 5 * (i + 1)) for i in range(580))
        for i, cell in enumerate(cells):
            new[PAGE - 5 * (i + 1) : PAGE - 5 * i] = cell
        if level < levels - 1:
            out += new
            child = len(out) // PAGE
        else:
            out[(root - 1) * PAGE : root * PAGE] = new
    out[28:32] = struct.pack(">I", len(out) // PAGE)
    return bytes(out)


def by_structure(path: Path, dice: random.Random) -> None:
    """One to three changes of what rows say, sealed."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for _ in range(dice.choice((1, 1, 3))):
            table = dice.choice(TABLES)
            rows = db.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                change(db, table, dice.choice(rows), dice)
        seal(db)
        db.execute("COMMIT")
    finally:
        db.close()


def change(db: sqlite3.Connection, table: str, row: tuple[Any, ...], dice: random.Random) -> None:
    columns = [found[1] for found in db.execute(f"PRAGMA table_info({table})")]
    key, what = columns[0], dice.randrange(12)
    where = f"WHERE {key} = ?"
    if what == 0:
        db.execute(f"DELETE FROM {table} {where}", row[:1])
    elif what == 1:
        new = EVIL.replace("\ud800", "") if table == "meta" else dice.choice((-1, 77, 2**40))
        db.execute(f"UPDATE OR REPLACE {table} SET {key} = ? {where}", (new, row[0]))
    elif what == 2:
        for i in range(dice.choice((3, 3000))):
            new = f"k{i}" if table == "meta" else 10_000 + i
            holes = ", ".join("?" * len(row))
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({holes})", (new, *row[1:]))
    else:
        name = dice.choice(columns[1:])
        old = row[columns.index(name)]
        db.execute(f"UPDATE {table} SET {name} = ? {where}", (changed(old, name, dice), row[0]))


def changed(old: Any, name: str, dice: random.Random) -> Any:
    """Another value for a column."""
    if name == "channels":
        rows = json.loads(zlib.decompress(old))
        if rows and dice.random() < 0.8:
            rows[dice.randrange(len(rows))] = hostile(rows[0], dice)
        else:
            rows = rows * dice.choice((0, 2, 3000))
        return zlib.compress(json_of(rows).encode("ascii", "replace"))
    if isinstance(old, bytes):
        size = dice.choice((0, 3, len(old), len(old) // 2, 8 * len(old)))
        return bytes(dice.choice((0, 255, 127, 128)) for _ in range(min(size, 100_000)))
    if isinstance(old, str) and old[:1] in '{["':
        return json_of(hostile(json.loads(old), dice))
    return dice.choice((-1, 2**62, 1e308, EVIL.replace("\ud800", ""), b"\0", 5))


def hostile(value: Any, dice: random.Random) -> Any:
    """The value with one thing somewhere in it replaced."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(sorted(value))
        return {**value, key: hostile(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.7:
        at = dice.randrange(len(value))
        return [*value[:at], hostile(value[at], dice), *value[at + 1 :]]
    return dice.choice(VALUES)


def json_of(value: Any) -> str:
    text = json.dumps(value)
    return text.replace('"RAW"', random.Random(len(text)).choice(RAW), 1)


def odd(text: str) -> str:
    """Characters of `text` that a terminal may obey."""
    bidi = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return "".join(
        c
        for c in text
        if c in bidi or (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t")
    )


def attempt(number: int, base: Path, path: Path) -> Path:
    """The file of this number, always the same."""
    dice = random.Random(number)
    if number % 2:
        shutil.copyfile(base, path)
        by_structure(path, dice)
    else:
        path.write_bytes(by_bytes(base.read_bytes(), dice))
    return path


def judge(number: int, path: Path) -> tuple[int, list[str], str]:
    """(exit code, what is wrong with how it ended, what was said)."""
    from evenflow.cli import main

    commands = (
        ["check", str(path)],
        ["check", "--json", str(path)],
        ["report", str(path), "-o", "-"],
        ["explain", str(path)],
    )
    command = commands[number // 2 % 4]
    out, err, wrong = io.StringIO(), io.StringIO(), list[str]()
    code = -1
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(command)
        except BaseException as error:
            wrong.append(f"{type(error).__name__}: {error}"[:300])
    said, errors = out.getvalue(), err.getvalue()
    if code not in (0, 1, 3) and not wrong:
        wrong.append(f"exit code {code}")
    if found := odd(said + errors):
        wrong.append(f"control characters {found[:20]!r}")
    if sum(line.startswith("evenflow  ") for line in said.splitlines()) > 1:
        wrong.append("a forged line")
    if "Traceback" in errors or "Warning" in errors or "makes no sense" in errors:
        wrong.append(errors[-400:])
    lines = errors.splitlines()
    if code == 3 and (said or len(lines) != 1 or not lines[0].startswith("evenflow ")):
        wrong.append(f"not one sentence: {errors[:300]!r}")
    if command[1] == "--json" and code in (0, 1):
        json.loads(said)
    return code, wrong, errors


def main(base: Path, first: int, last: int) -> None:
    import resource

    from evenflow import cli as cli  # what it imports does not count for the first file
    from evenflow import report as report

    resource.setrlimit(resource.RLIMIT_AS, (500_000_000, resource.RLIM_INFINITY))
    record: dict[str, Any] = {"codes": {}, "wrong": [], "slowest": 0.0}
    for number in range(first, last):
        path = attempt(number, base, base.with_name("hostile.evenflow"))
        began = time.process_time()
        # Past ten seconds of processor time the child is killed, which the test sees.
        limit = int(began) + 11
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        print(number, file=sys.stderr, flush=True)
        code, wrong, _ = judge(number, path)
        record["slowest"] = max(record["slowest"], time.process_time() - began)
        record["codes"][code] = record["codes"].get(code, 0) + 1
        record["wrong"] += [(number, each) for each in wrong]
    print(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
