"""Every case by its name, and a way to choose among them."""

from __future__ import annotations

from . import (
    autoencoder,
    cnn,
    decoder,
    encoder,
    games,
    gated,
    generative,
    mixture,
    perceptron_cases,
    perceptron_healthy,
    rates,
    residual,
    rnn,
    tabular_classification,
    tabular_regression,
    variational,
    wiring,
)
from .case import Case

_ALL: tuple[Case, ...] = (
    *perceptron_cases.SICK_AND_TWINS,
    *perceptron_healthy.HEALTHY,
    *rnn.CASES,
    *encoder.CASES,
    *autoencoder.CASES,
    *tabular_classification.CASES,
    *cnn.CASES,
    *residual.CASES,
    *gated.CASES,
    *decoder.CASES,
    *generative.CASES,
    *mixture.CASES,
    *tabular_regression.CASES,
    *variational.CASES,
    *rates.CASES,
    *games.CASES,
    *wiring.CASES,
)

#: All cases by name. A test holds that no name occurs twice and that every twin exists.
REGISTRY: dict[str, Case] = {case.name: case for case in _ALL}


def select(
    half: str | None = None, healthy: bool | None = None, code: str | None = None
) -> tuple[Case, ...]:
    """Cases of one half ("calibration" or "report"), healthy or sick, expecting a code."""
    if half not in (None, "calibration", "report"):
        raise ValueError(f"half must be 'calibration' or 'report', not {half!r}")
    return tuple(
        c
        for c in REGISTRY.values()
        if (half is None or c.half == half)
        and (healthy is None or c.healthy == healthy)
        and (code is None or code in c.expect)
    )
