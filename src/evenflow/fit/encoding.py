"""A table as numbers: each kind of column by scikit-learn's own transformers. N rows, C columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from ..lang import _, ngettext, whole
from ..showing import listed, shown
from . import dates
from .columns import Column, numbers_of
from .reading import BadData, lacking
from .scaling import Floats

#: A column has so many categories at most; the rarest beyond them are one.
CATEGORIES = 100
#: What stands for a missing category.
NONE = "(missing)"
#: Numbers that a text becomes (latent semantic analysis: Deerwester et al. 1990, JASIS 41), of the
#: commonest words.
TOPICS, VOCABULARY = 16, 5000


@dataclass(frozen=True, slots=True)
class Encoder:
    """How a table of these columns becomes numbers.

    Attributes:
        columns: of the table, in its order; those not used with the reason.
        numbers: fitted; missing values at the median, and marked. None: no such columns.
        categories: fitted; one column a category, none set for one that it never saw.
        texts: fitted, by column.
    """

    columns: tuple[Column, ...]
    numbers: Any = None
    categories: Any = None
    texts: dict[str, Any] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[Column]:
        return [c for c in self.columns if c.used and c.kind in kinds]

    def transform(self, X: Any) -> tuple[Floats, list[str]]:
        """Rows [N, C] of a frame that has the columns of training, and what is to be said of them.

        More columns are ignored.

        Raises:
            BadData: a column is missing, or one of numbers holds none.
        """
        known = set(X.columns)
        needed = [c.name for c in self.columns if c.used or c.missing]
        if gone := [name for name in needed if name not in known]:
            raise lacking(gone, list(X.columns))
        notes: list[str] = []
        parts = []
        if self.numbers is not None:
            raw = self._numbers(X, notes)
            self._newly_missing(raw, notes)
            parts.append(self.numbers.transform(raw))
        if self.categories is not None:
            rows = self._categories(X)
            known_NC = zip(self.of("category"), rows.T, self.categories.categories_, strict=True)
            for column, values, seen in known_NC:
                _strange(column.name, values, seen, notes)
            parts.append(self.categories.transform(rows))
        for name, made in self.texts.items():
            parts.append(made.transform(texts_of(X[name])))
        return np.hstack(parts) if parts else np.zeros((len(X), 0)), notes

    def _numbers(self, X: Any, notes: list[str]) -> Floats:
        """[N, C]: numbers, then what is read of dates, then whether columns left out are given."""
        parts = []
        for column in self.of("number"):
            found = numbers_of(X[column.name], column.comma)
            found = np.where(np.isinf(found), np.nan, found)
            _unread(column.name, X[column.name], found, notes, must=True)
            parts.append(found)
        for column in self.of("date"):
            days = dates.column_days(X[column.name], column.orders)
            _unread(column.name, X[column.name], days, notes, must=False)
            parts += dates.features(days, column.parts)
        parts += [X[column.name].notna().to_numpy(float) for column in self._marks()]
        return np.stack(parts, 1) if parts else np.empty((len(X), 0))

    def _categories(self, X: Any) -> Any:
        """[N, C] as text; 1.0 is 1, so that it is one category whether others miss or not."""
        columns = [X[c.name] for c in self.of("category")]
        found = np.empty((len(X), len(columns)), dtype=object)
        for at, column in enumerate(columns):
            values = zip(column.astype(object), column.isna(), strict=True)
            found[:, at] = [NONE if missing else _written(v) for v, missing in values]
        return found

    def _newly_missing(self, raw_NC: Floats, notes: list[str]) -> None:
        """A note on values that are missing where none was in training."""
        marked = set(self.numbers.indicator_.features_.tolist())
        for at, column in enumerate(self.of("number")):
            count = int(np.isnan(raw_NC[:, at]).sum())
            if count and at not in marked:
                sentence = ngettext(
                    "column {name}: {count} value is missing, in training none was: "
                    "read as the middle one.",
                    "column {name}: {count} values are missing, in training none was: "
                    "read as the middle one.",
                    count,
                )
                notes.append(sentence.format(name=shown(column.name), count=whole(count)))

    def wide(self) -> int:
        """Columns that the numbers' imputer is given."""
        circles = sum(1 if part == "day" else 2 for c in self.of("date") for part in c.parts)
        return len(self.of("number")) + circles + len(self._marks())

    def _marks(self) -> list[Column]:
        return [c for c in self.columns if c.missing and not c.used]


def learned(X: Any, columns: Sequence[Column]) -> Encoder:
    """The encoder of these rows. BadData where no column is left that tells anything."""
    made = Encoder(tuple(columns))
    numbers = categories = None
    if made.of("number", "date") or made._marks():
        numbers = numbers_coder().fit(made._numbers(X, []))
    if made.of("category"):
        categories = categories_coder().fit(made._categories(X))
    texts = {c.name: topics(X[c.name]) for c in made.of("text")}
    if numbers is None and categories is None and not texts:
        text = _("no column is left to learn from: {names} ({why}): see --keep.")
        first = made.columns[-1]
        raise BadData(text.format(names=listed([c.name for c in made.columns]), why=first.why))
    return replace(made, numbers=numbers, categories=categories, texts=texts)


def numbers_coder() -> Any:
    """Not fitted; a column without a value is 0 and not gone, for other rows may have one."""
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def categories_coder() -> Any:
    """Not fitted; a category it never saw is one of the rare, if there are too many, else none."""
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=CATEGORIES, sparse_output=False
    )


def text_coders(size: int) -> tuple[Any, Any]:
    """Not fitted: the weights of words, and so many of their main directions."""
    words = TfidfVectorizer(sublinear_tf=True, max_features=VOCABULARY)
    return words, TruncatedSVD(size, random_state=0)


def topics(column: Any) -> Any:
    """Fitted on a column of text: weights of its words (tf-idf), and of those the main directions.

    BadData where there are not two words that could be told apart.
    """
    texts = texts_of(column)
    words, reduced = text_coders(TOPICS)
    try:
        weights = words.fit_transform(texts)
    except ValueError:  # no word at all
        weights = None
    if weights is None or weights.shape[1] < 2:
        text = _("column {name} has too few words to be read as text.")
        raise BadData(text.format(name=shown(column.name)))
    reduced.set_params(n_components=min(TOPICS, weights.shape[1] - 1))
    reduced.fit(weights)
    return make_pipeline(words, reduced)


def texts_of(column: Any) -> list[str]:
    return ["" if missing else str(v) for v, missing in zip(column, column.isna(), strict=True)]


def _written(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _unread(name: str, column: Any, found_N: Floats, notes: list[str], must: bool) -> None:
    """A note on cells that hold something but no number or date: they count as missing."""
    odd = np.isnan(found_N) & column.notna().to_numpy()
    count = int(odd.sum())
    if not count:
        return
    first = int(odd.argmax())
    if must and np.isnan(found_N).all():
        wrong = _("column {name} must be of numbers, as in training: it holds {value}.")
        raise BadData(wrong.format(name=shown(name), value=shown(column.iloc[first])))
    sentence = ngettext(
        "column {name}: {count} cell cannot be read ({value} in row {row}): taken as missing.",
        "column {name}: {count} cells cannot be read ({value} in row {row}): taken as missing.",
        count,
    )
    notes.append(
        sentence.format(
            name=shown(name), count=whole(count), value=shown(column.iloc[first]),
            row=column.index[first],
        )
    )  # fmt: skip


def _strange(name: str, values_N: Any, seen: Any, notes: list[str]) -> None:
    """A note on categories that training never saw: they get a value of their own."""
    known = set(seen)
    strange = [v for v in values_N if v not in known]
    if not strange:
        return
    different = list(dict.fromkeys(strange))
    sentence = ngettext(
        "column {name}: {count} row holds what training never saw ({values}): "
        "read as none of the known.",
        "column {name}: {count} rows hold what training never saw ({values}): "
        "read as none of the known.",
        len(strange),
    )
    notes.append(
        sentence.format(name=shown(name), count=whole(len(strange)), values=listed(different))
    )
