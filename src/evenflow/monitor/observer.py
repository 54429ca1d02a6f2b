"""Observers: who hears of sampled steps, of findings and of the end while a training runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..schema import Finding, Parameter, Reading, Run, Site, SiteKey


@dataclass(frozen=True, slots=True)
class SampledStep:
    """One sampled step, as it stands in the run file.

    Attributes:
        reading: all its numbers.
        sites, params: what they are about, by `id`.
        meta: of the run ("rank", "world_size", "script", ...).

    >>> import numpy as np
    >>> from evenflow.schema import Channel
    >>> channels = (Channel("step", 0, "loss"), Channel("site", 4, "delta"))
    >>> linear = Site(4, "Net", "head", "linear", "affine")
    >>> step = SampledStep(Reading(12, channels, np.array([0.5, 1e-3])), {4: linear}, {}, {})
    >>> step.number, step.value("loss"), step.value("lr")
    (12, 0.5, nan)
    >>> {key.path: value for key, value in step.of_sites("delta").items()}
    {'head': 0.001}
    """

    reading: Reading
    sites: Mapping[int, Site]
    params: Mapping[int, Parameter]
    meta: Mapping[str, Any]

    @property
    def number(self) -> int:
        """How many updates came before it."""
        return self.reading.step

    def _of(self, of: str, metric: str) -> dict[int, float]:
        pairs = zip(self.reading.channels, self.reading.values.tolist(), strict=True)
        return {c.id: value for c, value in pairs if c.of == of and c.metric == metric}

    def value(self, metric: str) -> float:
        """A metric of the step itself ("loss", "grad_norm"); NaN where it was not measured."""
        return self._of("step", metric).get(0, math.nan)

    def of_sites(self, metric: str) -> dict[SiteKey, float]:
        """A metric of the sites for which it was measured in this step."""
        found = self._of("site", metric)
        return {self.sites[id].key: value for id, value in found.items() if id in self.sites}

    def of_params(self, metric: str) -> dict[str, float]:
        """A metric of the parameters, by their names."""
        found = self._of("param", metric)
        return {self.params[id].name: value for id, value in found.items() if id in self.params}


class Observer:
    """Hears of a watched training; override what you want to hear.

    Observers are called in a thread of their own, never between the training's operations, about a
    second late, and all calls of one watch come one after another. Their time counts as watching's
    (`budget`), so a slow one makes samples rarer. What one raises is said once, and it hears no
    more; the training goes on. They are given numbers: leave the model and the global random states
    alone.

    >>> class Losses(Observer):
    ...     def sampled(self, step):
    ...         print(step.number, step.value("loss"))
    >>> # evenflow.watch(observers=[Losses()])
    """

    def sampled(self, step: SampledStep) -> None:
        """A sampled step was written. In order, each once."""

    def opened(self, finding: Finding, sites: Sequence[Site]) -> None:
        """Something is wrong that was not before, or not as badly; `sites`: the finding's."""

    def closed(self, finding: Finding, sites: Sequence[Site]) -> None:
        """A finding is true no longer."""

    def ended(self, run: Run, findings: Sequence[Finding]) -> None:
        """The run is closed; `run.meta["ended"]` says how. The last call."""


def checked(observers: Iterable[Any]) -> tuple[Observer, ...]:
    """The observers. Raises TypeError for what is none (a class in place of its object)."""
    every = tuple(observers)
    for observer in every:
        if not isinstance(observer, Observer):
            raise TypeError(f"an observer must be an evenflow.Observer, not {observer!r:.80}")
    return every
