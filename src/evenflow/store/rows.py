"""Rows of a file, each held against its checksum; what does not match is counted and left out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from .budget import ReadingBudget
from .format import PARTS, row_sum
from .opening import FLAWS

Record = TypeVar("Record")


class Rows:
    """One reading of one file; of the tables named in `after` only rows of a later key.

    Attributes:
        damaged: of each table, the keys of rows that are lost, doubled, or not as they were
            written. None that were there are missing from it: a row whose checksum is lost is no
            better than one that does not match.
    """

    def __init__(
        self, db: sqlite3.Connection, budget: ReadingBudget, after: Mapping[str, int] | None = None
    ) -> None:
        self.db, self.budget, self._after = db, budget, after or {}
        self.damaged: dict[str, set[Any]] = {}
        self._sums: dict[int, dict[Any, int]] = {}
        for part, key, sum in self._checksums():
            budget.row(0)
            self._sums.setdefault(part, {})[key] = sum

    def _checksums(self) -> Iterator[tuple[Any, Any, Any]]:
        chosen = "SELECT part, key, sum FROM checksum WHERE part = ?"
        for table, part in PARTS.items():
            if table in self._after:
                yield from self.db.execute(f"{chosen} AND key > ?", (part, self._after[table]))
            else:
                yield from self.db.execute(chosen, (part,))

    def sums(self, table: str) -> dict[Any, int]:
        """The checksums of a table by key."""
        return self._sums.get(PARTS[table], {})

    def spoil(self, table: str, key: Any) -> None:
        """A row is to be left out."""
        self.damaged.setdefault(table, set()).add(key)

    def each(
        self, table: str, columns: str, keys: Collection[Any] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """The rows that match, each once; `columns` are all of the table's, the key first. With
        `keys`, those rows only."""
        sums = self.sums(table)
        waiting = dict(sums) if keys is None else {key: sums[key] for key in keys}
        for row in self._found(table, columns, keys):
            self.budget.row(sum(len(v) for v in row if type(v) is bytes))
            if waiting.pop(row[0], None) == row_sum(table, *row):
                yield row
            else:
                self.spoil(table, row[0])
        for key in waiting:
            self.spoil(table, key)

    def _found(
        self, table: str, columns: str, keys: Collection[Any] | None
    ) -> Iterator[tuple[Any, ...]]:
        chosen, name = f"SELECT {columns} FROM {table}", columns.partition(",")[0]
        if keys is not None:
            for key in keys:  # a text is held as one, and asked for as one
                asked = key.decode() if type(key) is bytes else key
                yield from self.db.execute(f"{chosen} WHERE {name} = ?", (asked,))
        elif table in self._after:
            where = f"{chosen} WHERE {name} > ? ORDER BY {name}"
            yield from self.db.execute(where, (self._after[table],))
        else:
            yield from self.db.execute(chosen)

    def records(
        self,
        table: str,
        columns: str,
        parse: Callable[..., Record],
        keys: Collection[Any] | None = None,
    ) -> Iterator[tuple[Any, Record]]:
        """(key, record) of rows that match and can be parsed from their texts.

        A flaw of the content alone is a forger's: what wrote the checksum wrote no such row.
        """
        for key, *values in self.each(table, columns, keys):
            for value in values:
                if type(value) is bytes:
                    self.budget.record(value)
            try:
                plain = (v.decode() if type(v) is bytes else v for v in values)
                yield key, parse(*plain)
            except FLAWS:
                self.spoil(table, key)

    def told(self) -> dict[str, int]:
        """How many rows of each table are left out."""
        return {table: len(keys) for table, keys in self.damaged.items() if keys}
