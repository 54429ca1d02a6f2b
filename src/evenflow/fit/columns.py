"""What each column of a table is, and what is done with it and why. N rows, U different values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..lang import _, whole
from ..showing import shown
from . import dates
from .reading import BadData, lacking

KINDS = ("number", "category", "date", "text", "id")
#: A text column of which this share reads as numbers is a number column with text in it.
MOSTLY = 0.8
#: Text is an identifier, or free text, where at least this share of its values is different ...
DIFFERENT = 0.5
#: ... and there are so many; whole numbers with such a name are one where at least this share is.
LEAST, UNIQUE = 10, 0.95
#: Free text: so many words a value at the middle, or the least with so many different values.
WORDS, MANY = 3.0, 50
#: Missing values of a column that is left out are used where they are this share or more, and
#: those that are given, too.
TOLD = 0.02
_NAMES = re.compile(
    r"(^|[ _.\-:])(ids?|uid|uuid|guid|key|pk|idx|index|row|rowid|rownames|row name|unnamed|serial|"
    r"identifier|phone|ssn|isbn|ean|sku)($|[ _.\-:])|(?<=[ _.\-:])(nr|no|num|number|ref)$"
)
_NUMBER = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?|[-+]?\d+(?:,\d+)?")


@dataclass(frozen=True, slots=True)
class Column:
    """One column and what is done with it.

    Attributes:
        kind: "number", "category", "date", "text", "id"; "constant" and "empty" tell nothing.
        used: does the network read it?
        why: a sentence.
        text: it stood in the file as text.
        comma: its numbers have a decimal comma.
        missing: of a column that is left out: does the network read whether it is given?
        orders: of day and month in a date (`dates.orders`).
        parts: what of a date is read (`dates.parts_of`).
        asked: the kind, or that it is used, was the user's word.
    """

    name: str
    kind: str
    used: bool
    why: str
    text: bool = False
    comma: bool = False
    missing: bool = False
    orders: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of columns: leave these out, use these whatever they look like, kinds."""

    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parsed(
        cls,
        columns: Collection[str],
        drop: Sequence[str] = (),
        keep: Sequence[str] = (),
        kinds: Sequence[str] = (),
    ) -> Wishes:
        """From texts: names between commas, or COL=KIND. BadData for neither.

        A name of the `columns` may hold a comma or an equals sign itself.
        """

        def names(given: Sequence[str]) -> tuple[str, ...]:
            found: list[str] = []
            for text in given:
                apart = [name.strip() for name in text.split(",") if name.strip()]
                found += [text] if text in columns else apart
            return tuple(found)

        wanted: dict[str, str] = {}
        for text in kinds:
            for pair in [text] if text.rpartition("=")[0] in columns else text.split(","):
                name, equals, kind = pair.strip().rpartition("=")
                if not equals or kind not in KINDS:
                    line = _("--kind {pair}: give COL=KIND, where KIND is one of {kinds}.")
                    raise BadData(line.format(pair=shown(pair), kinds=", ".join(KINDS)))
                wanted[name] = kind
        return cls(names(drop), names(keep), wanted)

    def check(self, names: Sequence[str], target: str) -> None:
        """BadData for a column that is not there, the target, or two wishes that contradict."""
        known = set(names)
        for name in (*self.drop, *self.keep, *self.kinds):
            if name == target:
                text = _("{name} is the target: it is what is predicted, and never read.")
                raise BadData(text.format(name=shown(name)))
            if name not in known:
                raise lacking([name], names)
        for name in self.drop:
            if name in self.keep or name in self.kinds:
                text = _("column {name} is to be left out, and to be used: which?")
                raise BadData(text.format(name=shown(name)))


def recognised(X: Any, wishes: Wishes = Wishes()) -> tuple[Column, ...]:
    """Every column of a data frame in its order.

    Raises:
        BadData: numbers with text among them, infinite numbers, or a kind that does not fit.
    """
    drop, keep = set(wishes.drop), set(wishes.keep)
    found = []
    for name, column in X.items():
        if name in drop:
            found.append(Column(name, "id", False, _("as you asked"), asked=True))
        elif name in wishes.kinds:
            found.append(_as_asked(name, column, wishes.kinds[name], name in keep))
        else:
            seen = _recognised(name, column)
            found.append(_kept(seen, column) if name in keep else seen)
    return tuple(found)


def _kept(seen: Column, column: Any) -> Column:
    """A column that is used because the user says so."""
    if seen.used or seen.kind == "empty":
        return replace(seen, asked=True)
    kind = "category" if seen.text else "number"
    why = _("used as you asked, though {why}").format(why=seen.why)
    return replace(seen, kind=kind, used=True, why=why, missing=False, asked=True)


def _as_asked(name: str, column: Any, kind: str, keep: bool) -> Column:
    text = not is_number(column)
    asked = Column(name, kind, kind != "id", _("as you asked"), text=text, asked=True)
    if kind == "id":
        return _kept(asked, column) if keep else asked
    if kind == "number" and text:
        given = column[column.notna()]
        comma = decimal_mark(given.map(str))
        if comma is None and len(given) and np.isnan(numbers_of(given, comma=False)).all():
            line = _("column {name} cannot be read as numbers: it holds {value}.")
            raise BadData(line.format(name=shown(name), value=shown(given.iloc[0])))
        return replace(asked, comma=bool(comma))
    if kind == "date":
        texts = list(dict.fromkeys(map(dates._text, column[column.notna()])))
        orders = dates.orders(texts) or ()
        days = dates.column_days(column, orders)
        if not np.isfinite(days).any():
            line = _("column {name} cannot be read as dates: it holds {value}.")
            value = texts[0] if texts else ""
            raise BadData(line.format(name=shown(name), value=shown(value)))
        return replace(asked, orders=orders, parts=dates.parts_of(days))
    return asked


def _recognised(name: str, column: Any) -> Column:
    given = column.notna().to_numpy()
    count = int(given.sum())
    if not count:
        return Column(name, "empty", False, _("it has no value in any row"))
    if pd.api.types.is_datetime64_any_dtype(column):
        return _date(name, column, (), text=False)
    if is_number(column):
        return _number(name, column.to_numpy(np.float64, na_value=np.nan), given)
    codes, unique = pd.factorize(column[given].map(str))
    if len(unique) == 1 and count == len(column):
        why = _("it holds {value} in every row").format(value=shown(unique[0]))
        return Column(name, "constant", False, why, text=True)
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column):
        return _category(name, len(unique))
    sizes = np.bincount(codes)
    if (comma := decimal_mark(unique)) is not None:
        values = numbers_of(column, comma)
        return replace(_number(name, values, given), text=True, comma=comma)
    not_mixed(name, column[given], unique)
    orders = dates.orders(unique)
    if orders is not None:
        return _date(name, column, orders, text=True)
    return _words(name, column, unique, sizes)


def _number(name: str, values_N: Any, given_N: Any) -> Column:
    known = values_N[given_N]
    if np.isinf(known).any():
        raise BadData(_("column {name} holds an infinite number.").format(name=shown(name)))
    low, high = known.min(), known.max()
    if low == high and len(known) == len(values_N):
        why = _("it holds {value} in every row").format(value=shown(_short(low)))
        return Column(name, "constant", False, why)
    used = Column(name, "number", True, _("a number"))
    if len(known) < LEAST or not np.array_equal(known, np.floor(known)):
        return used
    if low >= 19000101 and high <= 21001231 and low != high:
        days = dates.days([str(int(v)) for v in known[:LEAST]], ())
        if np.isfinite(days).all():
            days = np.full(len(values_N), np.nan)
            days[given_N] = dates.days([str(int(v)) for v in known], ())
            if np.isfinite(days[given_N]).mean() >= dates.MOSTLY:
                return Column(name, "date", True, _dated(days), parts=dates.parts_of(days))
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()  # customerID -> customer_id
    if _NAMES.search(apart) is None:
        return used  # what counts the rows may be time, or x
    unique = len(np.unique(known))
    if low in (0, 1) and high - low == len(known) - 1 and unique == len(known):
        why = _("it counts the rows from {low} to {high}")
        return Column(name, "id", False, why.format(low=_short(low), high=_short(high)))
    if unique >= UNIQUE * len(known):
        return _left_out(name, _different(unique, len(known)), given_N, False)
    return used


def _words(name: str, column: Any, unique: Any, sizes: Any) -> Column:
    """A column of text that is neither numbers nor dates."""
    given = column.notna().to_numpy()
    count, different = int(given.sum()), len(unique)
    lengths = np.array([len(text.split()) for text in unique[:1000]])
    many = different >= max(LEAST, DIFFERENT * count)
    if np.median(lengths) >= WORDS and (many or different > MANY):
        why = _("free text of {words} words").format(words=_short(np.median(lengths)))
        return Column(name, "text", True, why, text=True)
    if many:
        return _left_out(name, _different(different, count), given, True)
    return _category(name, different)


def _left_out(name: str, why: str, given_N: Any, text: bool) -> Column:
    """An identifier; whether it is given may still tell something."""
    share = 1 - float(given_N.mean())
    missing = TOLD <= share <= 1 - TOLD
    if missing:
        why = _("{why}; whether it is given is used").format(why=why)
    return Column(name, "id", False, why, text=text, missing=missing)


def _category(name: str, different: int) -> Column:
    why = _("{count} categories").format(count=whole(different))
    return Column(name, "category", True, why, text=True)


def _date(name: str, column: Any, orders: tuple[str, ...], text: bool) -> Column:
    days = dates.column_days(column, orders)
    parts = dates.parts_of(days)
    if not parts:
        return Column(name, "constant", False, _("it holds one date"), text=text)
    return Column(name, "date", True, _dated(days, orders), text=text, orders=orders, parts=parts)


def _dated(days_N: Any, orders: Sequence[str] = ()) -> str:
    """The span of a date column, and how it was read where that was a question."""
    known = days_N[np.isfinite(days_N)]
    first, last = (np.datetime64(int(np.floor(d)), "D") for d in (known.min(), known.max()))
    text = _("dates from {first} to {last}").format(first=first, last=last)
    order = {"dmy": _("day before month"), "mdy": _("month before day")}
    if orders:
        how = ", ".join(dict.fromkeys(order[o[:3]] for o in orders))
        text = _("{dates}, read with the {order}").format(dates=text, order=how)
    return text


def _different(unique: int, count: int) -> str:
    text = _("an identifier: {unique} different values in {count} rows")
    return text.format(unique=whole(unique), count=whole(count))


def _short(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:.6g}"


def is_number(column: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def decimal_mark(texts: Any) -> bool | None:
    """Are all of them numbers with a decimal comma (True), or plain ones (False)? None: neither."""
    values = [text.strip() for text in list(texts)]
    if not values or not any(k.isdigit() for k in values[0]):
        return None
    if all(_NUMBER.fullmatch(v) for v in values):
        return False
    return True if all(_COMMA.fullmatch(v) for v in values) else None


def numbers_of(column: Any, comma: bool) -> Any:
    """A column of any kind as floats [N], NaN for what is missing or no number."""
    if is_number(column) or pd.api.types.is_bool_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_datetime64_any_dtype(column):
        return np.full(len(column), np.nan)
    given = column.notna().to_numpy()
    texts = column[given].map(str).str.strip()
    grouped = texts.str.fullmatch((_COMMA if comma else _NUMBER).pattern)
    plain = texts.str.replace("." if comma else ",", "", regex=False)
    plain = plain.str.replace(",", ".", regex=False)  # none is left where there is no comma
    found = np.full(len(column), np.nan)
    numbers = pd.to_numeric(plain.where(grouped, None), errors="coerce")
    found[given] = numbers.to_numpy(np.float64, na_value=np.nan)
    return found


def not_mixed(name: str, given: Any, unique: Any) -> None:
    """BadData for a column of numbers with text in it."""
    if pd.to_numeric(pd.Series(unique), errors="coerce").isna().all():
        return
    wrong = pd.to_numeric(given.map(str), errors="coerce").isna()
    if 1 - wrong.mean() >= MOSTLY:
        row = given.index[wrong.to_numpy().argmax()]
        text = _(
            "column {name} is of numbers, but row {row} holds the text {text}: "
            "correct it, or leave it empty (missing)."
        )
        raise BadData(text.format(name=shown(name), row=row, text=shown(given[row])))
