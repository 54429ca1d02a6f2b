"""Causes and end states that several rules share; what only one names stands in its file."""

from __future__ import annotations

from ..lang import N_
from .base import Cause, EndState, Remedy
from .remedies import GATED, SKIPS, ZERO_BIAS

DEPTH_TIMES_ACTIVATION = Cause(
    "depth-times-activation",
    N_("each layer's activation passes on only part of the gradient, and depth multiplies that"),
    SKIPS,
    sure=True,
)
DEPTH_TIMES_WEIGHTS = Cause(
    "depth-times-weights",
    N_("each layer multiplies the gradient by a factor away from 1, and depth multiplies that"),
    sure=True,
)
LEARNING_RATE_TOO_LOW = Cause(
    "learning-rate-too-low",
    N_("learning rate too low"),
    Remedy(
        "Raise the learning rate: by 10 first, then by 3.",
        by=(
            "lr=x10",
            "lr=x3",
        ),
    ),
)
LEARNING_RATE_ZERO = Cause(
    "learning-rate-zero",
    N_("learning rate of zero"),
    Remedy(
        "Set a learning rate above zero, and check the scheduler.",
        by=("lr=0.",),
    ),
)
NEGATIVE_BIAS = Cause("negative-bias", N_("strongly negative biases"), ZERO_BIAS, sure=True)
ZERO_INIT = Cause(
    "zero-init",
    N_("weights that start at exactly zero"),
    Remedy(
        "Draw weights at random instead of zero; biases may start at zero.",
        by=("init=",),
    ),
    sure=True,
)
THROUGH_TIME = Cause(
    "through-time",
    N_("the same weights applied over and over through time"),
    Remedy(
        "Use an LSTM or GRU (forget-gate bias 1), or orthogonal recurrent weights.",
        unless=GATED,
        by=("recurrent=",),
    ),
    sure=True,
)

#: End states by name, as in `Link.what`.
STATES: dict[str, EndState] = {
    s.name: s
    for s in (
        EndState("frozen", N_("frozen"), lasting=True),
        EndState("dead", N_("dead"), N_("units dead"), lasting=True),
        EndState("non-finite", N_("not finite"), N_("NaN or infinity")),
    )
}
