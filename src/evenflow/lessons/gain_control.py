"""A unit meets weak signals and strong ones. Give it a fixed gain: enough for the weak ones, and
the strong ones hit the ceiling; little enough for the strong ones, and the weak ones are lost.
(Grossberg called it the noise-saturation dilemma.)

## What a sigmoid does about it
Its gain is its slope f'(z) = y (1 - y), and the slope depends on the signal: 1/4 for a weak one,
less and less as it grows. A signal that swings between -A and A comes out with the swing

    f(A) - f(-A) = tanh(A / 2)

which for small A is A/2 (mean gain 1/4) and for large A nears 1 without ever reaching it: the
unit turns its own gain down. A hard limiter with the same gain for weak signals has none of
this: past A = 2 all signals look alike.

## The other side of it
The same slope multiplies the layer error on its way back. What turns the gain down for strong
signals turns the learning down with it: at A = 10 the slope is five thousand times smaller than
for a weak signal, and so is the gradient of all that lies before the unit.
Gain control and saturation are one thing, seen going forward and seen going back.
"""

from __future__ import annotations

import numpy as np

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Table, curve
from .reading import Net, both_ways, squared_step, unit

SIGNALS = (0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)


def run() -> Result:
    swings, slopes, hard, rows = [], [], [], []
    same: dict[str, tuple[float, float]] = {}
    for a in SIGNALS:
        pair, t = np.array([[-a, a]]), np.zeros((1, 2))
        step = squared_step(Net(unit(1.0, "sigmoid")), pair, t)
        same |= both_ways(step, unit(1.0, "sigmoid"), pair, t, told=f"{{}}, A = {a}")
        y = step.out["f1"][0]
        swings.append(float(y[1] - y[0]))
        slopes.append(float(step.delta["W1"][0, 1] / step.delta["f1"][0, 1]))
        # hardtanh(z/2)/2 has slope 1/4 at 0 and stops at ±1/2, as the sigmoid does
        stop = squared_step(Net(unit(0.5, "hardtanh")), pair, t)
        hard.append(float(np.ptp(stop.out["f1"]) / 2))
        through = float(stop.delta["W1"][0, 1] / stop.delta["f1"][0, 1]) / 4
        rows.append((a, swings[-1], swings[-1] / (2 * a), slopes[-1], hard[-1], through))
    grid = np.linspace(-8, 8, 129)
    y = m.sigmoid(grid)
    heads = _("swing"), _("mean gain"), _("slope at A"), _("swing, hard"), _("slope, hard")
    curves = curve("f(z)", y, grid), curve("4 f'(z)", 4 * y * (1 - y), grid)
    return Result(
        (
            Table(
                _("A signal between -A and A, through a sigmoid and through a hard limiter"),
                ("A", *heads),
                tuple(rows),
            ),
            _(
                "The signals span a factor of {span:.0f}, what comes out one of {out:.1f}. The "
                "sigmoid still tells A = 3 from A = 10, by {apart:.3f}; the hard limiter tells "
                "them apart by {hard:g}, and lets no error back at all."
            ).format(
                span=SIGNALS[-1] / SIGNALS[0],
                out=swings[-1] / swings[0],
                apart=swings[-1] - swings[4],
                hard=hard[-1] - hard[4],
            ),
            Plot(_("The sigmoid and its gain"), "z", _("f, and 4 f'"), curves),
        ),
        {
            **{f"swing at {a:g}": s for a, s in zip(SIGNALS, swings, strict=True)},
            **{f"slope at {a:g}": s for a, s in zip(SIGNALS, slopes, strict=True)},
            **{f"hard swing at {a:g}": s for a, s in zip(SIGNALS, hard, strict=True)},
            "compression": swings[-1] / swings[0],
        },
        same,
    )


LESSON = Lesson(
    "gain-control",
    "A sigmoid controls its own gain",
    __doc__,
    run,
    question=(
        "At which signal has the sigmoid's mean gain fallen to half of that for weak signals?"
    ),
    answer=(
        "Where tanh(A/2) / (2A) = 1/8, at A = 3.83: the swing is then 0.96 of the most "
        "that it can be."
    ),
    see=("EF201", "activations sigmoid", "activations hardtanh"),
)
