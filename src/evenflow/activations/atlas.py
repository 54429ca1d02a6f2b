"""The atlas card: all that is known of an activation, computed from f and f'."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..lang import N_
from . import meanfield
from .registry import Curve, curve, find
from .shape import Shape, shape_of

#: The width that torch's default biases, N(0, 1/(3·width))-like, are counted for.
WIDTH = 256
#: (name, σw², σb²) between layers of equal width, where Xavier and LeCun coincide.
INITIALISATIONS: tuple[tuple[str, float, float], ...] = (
    ("He", 2.0, 0.0),
    ("Xavier", 1.0, 0.0),
    ("LeCun", 1.0, 0.0),
    (N_("torch default"), 1 / 3, 1 / (3 * WIDTH)),
)
#: The second moments of x that moments are given for.
QS = (0.1, 1.0, 10.0)
_X = np.linspace(-8, 8, 161)


@dataclass(frozen=True)
class Moments:
    """For x ~ N(0, q): Ef(x), Ef(x)², Ef'(x)²."""

    q: float
    mean: float
    second: float
    slope: float


@dataclass(frozen=True)
class Start:
    """An initialisation by name, and what a deep network that starts so does."""

    name: str
    #: Where it settles in the end: q*, c*, χ1, ξc, ξ∇.
    point: meanfield.FixedPoint
    #: Layers after which ‖δ‖ has fallen by 3 decades on its way back, for inputs with second moment
    #: 1; below 0: has grown so; inf: neither within 1000 layers.
    three_decades: float


@dataclass(frozen=True)
class Card:
    """One activation's card. What could not be computed is None or empty, and `missing` says why.

    `parameters` are those of the curve, defaults put in. `critical`: initialisations with χ1 = 1
    and σb² = 0, then the one whose fixed point is q = 1, if there is one and, where that repels,
    the nearest that does not.
    """

    name: str
    title: str
    formula: str
    source: str
    notes: str
    parameters: tuple[tuple[str, Any], ...]
    missing: str = ""
    #: Samples for x from -8 to 8.
    x: tuple[float, ...] = ()
    f: tuple[float, ...] = ()
    df: tuple[float, ...] = ()
    kinks: tuple[float, ...] = ()
    shape: Shape | None = None
    moments: tuple[Moments, ...] = ()
    #: Ef(x) = 0 for x ~ N(0, 1); with `shape.odd` at every q.
    zero_centred: bool | None = None
    critical: tuple[meanfield.Critical, ...] = ()
    starts: tuple[Start, ...] = ()


def card(name: str, **parameters: Any) -> Card:
    """The card of an activation, at these parameters of its curve.

    ValueError for an unknown name or parameter. A trainable parameter stands where it starts.

    >>> from evenflow.activations import card
    >>> relu = card("relu")
    >>> relu.formula, relu.shape.dead_below, [round(c.sw2, 6) for c in relu.critical]
    ('max(0, x)', 0.0, [2.0])
    """
    return _card(find(name).name, tuple(sorted(parameters.items())))


@lru_cache(maxsize=128)
def _card(name: str, parameters: tuple[tuple[str, Any], ...]) -> Card:
    what = find(name)
    told = ", ".join(f"{k} = {v:g}" for k, v in parameters if isinstance(v, (int, float)))
    title = f"{what.title}, {told}" if told else what.title
    words = (what.name, title, what.formula, what.source, what.notes)
    if what.f is None:
        return Card(
            *words,
            parameters=(),
            missing=N_(
                "Its output depends on other elements of its input, so it has no f(x), no f'(x) "
                "and no mean-field maps of its own: curves, bound, saturation, moments, critical "
                "initialisation and depth scales cannot be computed."
            ),
        )
    this = curve(name, **dict(parameters))
    moments = tuple(_moments(this, q) for q in QS)
    at_1 = moments[QS.index(1.0)]
    return Card(
        *words,
        parameters=tuple({**what.parameters, **dict(parameters)}.items()),
        x=tuple(_X.tolist()),
        f=tuple(this.f(_X).tolist()),
        df=tuple(this.df(_X).tolist()),
        kinks=this.kinks,
        shape=shape_of(this),
        moments=moments,
        zero_centred=abs(at_1.mean) <= 1e-7 * math.sqrt(at_1.second),
        critical=_critical(this),
        starts=tuple(
            Start(
                start,
                meanfield.fixed_point(this.f, this.df, sw2, sb2, this.kinks),
                meanfield.layers_to(this.f, this.df, sw2, sb2, this.kinks),
            )
            for start, sw2, sb2 in INITIALISATIONS
        ),
    )


def _moments(this: Curve, q: float) -> Moments:
    return Moments(
        q,
        meanfield.expect(this.f, q, kinks=this.kinks),
        meanfield.second_moment(this.f, q, this.kinks),
        meanfield.second_moment(this.df, q, this.kinks),
    )


def _critical(this: Curve) -> tuple[meanfield.Critical, ...]:
    parts = (this.f, this.df)
    found = meanfield.critical_without_bias(*parts, this.kinks)
    at_1 = meanfield.critical_at(*parts, 1.0, this.kinks)
    if at_1 is None or any(abs(c.q - 1) < 1e-6 for c in found):
        return found
    repelling = at_1.stability == "repelling"
    steady = meanfield.critical_steady(*parts, this.kinks) if repelling else None
    return (*found, at_1, *filter(None, (steady,)))
