"""Dates in text: against strptime, format by format."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

pytest.importorskip("pandas")

import pandas as pd

from evenflow.fit.dates import column_days, days, features, orders, parts_of

#: strftime's word for what people write; %y is of two digits.
FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y",
    "%d %B %Y", "%d %b %Y", "%d. %B %Y", "%B %d, %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%Y",
    "%d-%b-%y", "%d.%m.%y", "%m/%d/%y", "%a, %d %b %Y", "%A, %B %d, %Y", "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%b %d, %Y, %I:%M:%S %p",
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ",
)  # fmt: skip
EPOCH = datetime(1970, 1, 1)


def some(count: int = 200) -> list[datetime]:
    rng = np.random.default_rng(1)
    return [EPOCH + timedelta(seconds=int(s)) for s in rng.integers(0, 1_900_000_000, count)]


@pytest.mark.parametrize("form", FORMATS)
def test_what_strftime_writes_is_read(form: str) -> None:
    texts = [moment.strftime(form) for moment in some()]
    settled = orders(texts)
    assert settled is not None
    want = [(datetime.strptime(t, form) - EPOCH) / timedelta(days=1) for t in texts]
    np.testing.assert_allclose(days(texts, settled), want, atol=1e-9)


def test_a_zone_is_taken_off() -> None:
    moment = datetime(2021, 3, 4, 12, 30, tzinfo=timezone(timedelta(hours=-7)))
    want = (moment.astimezone(timezone.utc).replace(tzinfo=None) - EPOCH) / timedelta(days=1)
    assert days([moment.isoformat()], ()) == pytest.approx([want])


def test_three_formats_in_one_column() -> None:
    forms = ("%Y-%m-%d", "%d.%m.%Y", "%b %d, %Y")
    moments = some()
    texts = [m.strftime(forms[k % 3]) for k, m in enumerate(moments)]
    settled = orders(texts)
    assert settled == ("dmy.",)
    want = [(m.date() - EPOCH.date()).days for m in moments]
    np.testing.assert_array_equal(days(texts, settled), want)


def test_the_column_says_whether_the_day_is_first() -> None:
    assert orders(["03/04/2021", "25/12/2021"]) == ("dmy/",)
    assert orders(["03/04/2021", "12/25/2021"]) == ("mdy/",)
    assert orders(["03/04/2021", "05/06/2021"]) == ("mdy/",)
    assert orders(["03.04.2021", "05.06.2021"]) == ("dmy.",)


@pytest.mark.parametrize(
    "texts",
    [
        ["1.2.3", "1.3.0", "2.0.1"],  # versions
        ["10.0.0.1", "192.168.1.7"],
        ["555-12-3456", "555-99-1234"],
        ["2021-13-40", "2021-99-01"],
        ["12345678", "99887766"],
        ["red", "may be", "march on"],
        ["AB-48213", "QX-10222"],
        ["3-2", "1-0"],
        ["1/2", "3/4"],
        ["x" * 10_000, "y"],
        ["", ""],
    ],
)
def test_what_is_no_date(texts: list[str]) -> None:
    assert orders(texts) is None


def test_parts_that_vary_and_their_columns() -> None:
    monthly = column_days(pd.Series(pd.date_range("2020-01-01", periods=30, freq="MS")), ())
    assert parts_of(monthly) == ("day", "year")  # the weekday of the first tells nothing
    hourly = column_days(pd.Series(pd.date_range("2020-01-06", periods=48, freq="h")), ())
    assert parts_of(hourly) == ("day", "week", "hour")
    assert parts_of(np.full(5, 3.0)) == ()
    time, sine, cosine = features(np.array([0.25, 7.25, np.nan]), ["day", "hour"])
    np.testing.assert_allclose(time, [0.25, 7.25, np.nan])
    np.testing.assert_allclose(sine, [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(cosine, [0, 0, 0], atol=1e-12)


def test_a_column_of_any_kind() -> None:
    moments = pd.Series(pd.to_datetime(["2021-03-04", None, "2021-03-05"]))
    want = [18690.0, np.nan, 18691.0]
    np.testing.assert_array_equal(column_days(moments, ()), want)
    np.testing.assert_array_equal(column_days(moments.dt.tz_localize("UTC"), ()), want)
    np.testing.assert_array_equal(column_days(pd.Series([20210304, None, 20210305]), ()), want)
    texts = pd.Series(["2021-03-04", "no idea", "2021-03-05"])
    np.testing.assert_array_equal(column_days(texts, ()), want)
