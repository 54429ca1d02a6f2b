"""Tables as strangers bring them, made from nothing: what tells, and what does not beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd

_WORDS = [
    "bright",
    "quiet",
    "corner",
    "large",
    "view",
    "near",
    "park",
    "school",
    "old",
    "new",
    "stairs",
    "kitchen",
    "garden",
    "light",
    "street",
    "sunny",
    "door",
    "wall",
    "roof",
    "tram",
    "shop",
    "owner",
    "small",
    "wide",
    "floor",
    "bath",
    "room",
    "warm",
    "brick",
    "clean",
]


def _ids(rng: np.random.Generator, rows: int) -> list[str]:
    """AB-48213: letters and numbers, each once."""
    letters = [chr(65 + k) for k in range(26)]
    numbers = rng.permutation(90_000)[:rows] + 10_000
    return [f"{rng.choice(letters)}{rng.choice(letters)}-{n}" for n in numbers]


def _days(rng: np.random.Generator, rows: int, span: int = 1500) -> pd.Series:
    seconds = rng.integers(0, span * 86_400, rows)
    return pd.Series(pd.Timestamp("2019-02-03") + pd.to_timedelta(seconds, unit="s"))


def _sentences(rng: np.random.Generator, rows: int) -> list[str]:
    return [" ".join(rng.choice(_WORDS, rng.integers(5, 14))) for _ in range(rows)]


def useless(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """What tells nothing: identifiers, dates in three formats, free text."""
    return pd.DataFrame(
        {
            "id": np.arange(1, rows + 1),
            "reference": _ids(rng, rows),
            "listed": _days(rng, rows).dt.strftime("%Y-%m-%d"),
            "seen": _days(rng, rows).dt.strftime("%d.%m.%Y"),
            "entered": _days(rng, rows).dt.strftime("%b %d, %Y"),
            "remarks": _sentences(rng, rows),
        }
    )


def houses(rows: int = 1000, seed: int = 0) -> tuple[pd.DataFrame, list[str], str]:
    """Prices: the table, the names of the columns that tell nothing, the target."""
    rng = np.random.default_rng(seed)
    area = rng.gamma(6, 20, rows)
    rooms = np.clip(np.round(area / 30 + rng.normal(0, 0.7, rows)), 1, 9)
    age = rng.integers(0, 90, rows)
    towns = [f"town {k}" for k in range(12)]
    shares = np.array([0.6**k for k in range(12)])  # the last towns have a row or two
    town = rng.choice(12, rows, p=shares / shares.sum())
    worth = rng.normal(0, 0.25, 12)
    heating = rng.choice(["gas", "oil", "district"], rows)
    price = 2000 * area * np.exp(worth[town] - 0.006 * age + 0.05 * (heating == "district"))
    price *= np.exp(rng.normal(0, 0.12, rows))
    told = pd.DataFrame(
        {
            "area": area.round(1),
            "rooms": rooms,
            "age": np.where(rng.random(rows) < 0.05, np.nan, age),
            "town": [towns[k] for k in town],
            "heating": heating,
        }
    )
    extra = useless(rng, rows)
    table = pd.concat([extra, told], axis=1).assign(price=price.round())
    return table, list(extra.columns), "price"


def churn(rows: int = 1000, seed: int = 0) -> tuple[pd.DataFrame, list[str], str]:
    """Who leaves: as `houses`."""
    rng = np.random.default_rng(seed)
    minutes, calls = rng.gamma(4, 50, rows), rng.poisson(1.5, rows)
    plans = ["basic", "family", "business", "student", "trial", "staff"]
    plan = rng.choice(6, rows, p=[0.45, 0.25, 0.2, 0.08, 0.015, 0.005])
    months = rng.integers(1, 60, rows)
    z = 0.9 * (calls - 1.5) - 0.05 * (months - 30) + 0.008 * (minutes - 200)
    z += np.array([0.0, -1.2, 0.3, 1.0, 1.5, -2.0])[plan] + 0.6 * (calls > 3)
    left = rng.random(rows) < 1 / (1 + np.exp(-1.2 * z))
    told = pd.DataFrame(
        {
            "minutes": minutes.round(1),
            "calls": calls,
            "months": months,
            "plan": [plans[k] for k in plan],
        }
    )
    extra = useless(rng, rows)
    table = pd.concat([extra, told], axis=1).assign(left=np.where(left, "yes", "no"))
    return table, list(extra.columns), "left"
