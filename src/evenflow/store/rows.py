"""Rows of a file, each held against its checksum; what does not match is counted and left out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .budget import Budget
from .format import PARTS, row_sum
from .opening import FLAWS

Record = TypeVar("Record")


class Rows:
    """One reading of one file.

    Attributes:
        damaged: of each table, the keys of rows that are lost, doubled, or not as they were
            written. None that were there are missing from it: a row whose checksum is lost is no
            better than one that does not match.
    """

    def __init__(self, db: sqlite3.Connection, budget: Budget) -> None:
        self.db, self.budget = db, budget
        self.damaged: dict[str, set[Any]] = {}
        self._sums: dict[int, dict[Any, int]] = {}
        for part, key, sum in db.execute("SELECT part, key, sum FROM checksum"):
            budget.row(0)
            self._sums.setdefault(part, {})[key] = sum

    def sums(self, table: str) -> dict[Any, int]:
        """The checksums of a table by key."""
        return self._sums.get(PARTS[table], {})

    def spoil(self, table: str, key: Any) -> None:
        """A row is to be left out."""
        self.damaged.setdefault(table, set()).add(key)

    def each(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """The rows that match, each once; `columns` are all of the table's, the key first."""
        waiting = dict(self.sums(table))
        for row in self.db.execute(f"SELECT {columns} FROM {table}"):
            self.budget.row(sum(len(v) for v in row if type(v) is bytes))
            if waiting.pop(row[0], None) == row_sum(table, *row):
                yield row
            else:
                self.spoil(table, row[0])
        for key in waiting:
            self.spoil(table, key)

    def records(
        self, table: str, columns: str, parse: Callable[..., Record]
    ) -> Iterator[tuple[Any, Record]]:
        """(key, record) of rows that match and can be parsed from their texts.

        A flaw of the content alone is a forger's: what wrote the checksum wrote no such row.
        """
        for key, *values in self.each(table, columns):
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
