"""Real trainings and forecasts that reach the rules' branches, each with a healthy twin."""

from .book import BOOK as BOOK
from .book import Entry as Entry

# importing them writes them into the book
from . import (  # isort: skip  # noqa: F401
    axes,
    births,
    data,
    games,
    layers,
    losses,
    numbers,
    order,
    parts,
    precision,
    scores,
    setup,
    sizes,
    starts,
    steps,
    wiring,
)
