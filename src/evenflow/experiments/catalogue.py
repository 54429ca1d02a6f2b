"""The nine experiments, in the order in which they are made."""

from __future__ import annotations

from . import (
    by_heart,
    every_parameter,
    independence,
    inputs_matter,
    loss_at_birth,
    rate_range,
    right_gradient,
    same_seed,
    sound_data,
)
from .result import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        loss_at_birth.EXPERIMENT,
        right_gradient.EXPERIMENT,
        independence.EXPERIMENT,
        by_heart.EXPERIMENT,
        inputs_matter.EXPERIMENT,
        every_parameter.EXPERIMENT,
        same_seed.EXPERIMENT,
        rate_range.EXPERIMENT,
        sound_data.EXPERIMENT,
    )
}
