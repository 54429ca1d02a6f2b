"""A run: all that is known of one training, as arrays a rule can read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..lazy import shown_by
from .channels import Channel, channel
from .site import Site, SiteKey
from .where import Where

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: A training of so many steps (updates) is not called healthy after fewer samples than these.
_MANY, _FEW = 20, 3


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter tensor (shared ones appear once).

    Attributes:
        name: root name and qualified name ("MLP.layers.3.weight").
        trainable: `requires_grad` when last seen.
        optimizer: index in `Run.meta["optimizers"]` of the optimizer that holds it, -1 if none.
        made: the line that made it, or its module, as `Site.made`.
    """

    id: int
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    trainable: bool = True
    optimizer: int = -1
    made: tuple[Where, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once: what, when, and its particulars (plain JSON types).

    Kinds: "nonfinite" (guard), "skipped" (guard or GradScaler skipped an update), "stopped"
    (Evenflow stopped watching after an error of its own), "thinned" (old steps were dropped),
    "healed" (heal changed something; read them by `schema.interventions`),
    "damaged" (rows of the file that were left out, `detail["rows"]` of each table),
    "note" (free text the report should show, e.g. sampling changed the random stream).
    """

    kind: str
    step: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One training as measured (or predicted).

    Attributes:
        name: of the file or the script.
        meta: plain JSON types. Keys that rules may use: "optimizers" (list of dicts with "class",
            "lr", "params", and lines as of `Where.as_dict`: "made", "stepped"), "ended" ("" while
            running or killed, "closed", "error: ..."), "script", "argv", "torch", "device",
            "every", "note", "rank" and "world_size" (0 and 1 of a training on its own), "folder"
            (in which it was started), "source" (lines of the script, by file and number).
        steps: int64 [T], numbers of the sampled steps, rising.
        columns: float64 [T] for each channel, NaN where it was not measured at that step.
        curve_steps, curve_loss: the loss at (nearly) every step, also unsampled ones [N], [N].
        early: no update is known yet: the curve has the loss of each backward pass so far, and
            its numbers are no steps'.
        events: in order.
        source: "measured" or "predicted".
    """

    name: str
    meta: Mapping[str, Any]
    sites: tuple[Site, ...]
    params: tuple[Parameter, ...]
    steps: Ints
    columns: Mapping[Channel, Floats]
    curve_steps: Ints
    curve_loss: Floats
    events: tuple[Event, ...] = ()
    source: str = "measured"
    early: bool = False

    _repr_html_ = shown_by("evenflow.views", "run_html")

    @property
    def unsampled(self) -> bool:
        """Were steps only counted, as sampling was off (every=0)?"""
        return self.meta.get("every") == 0 and self.counted > 0

    @property
    def counted(self) -> int:
        """Updates that were counted. A killed run has no "steps", or those before it went on."""
        seen = 0 if self.early else len(self.curve_steps)
        told = self.meta.get("steps", seen)
        return max(told, seen) if told else 0

    @property
    def unjudged(self) -> str:
        """Why nothing can be said of it: "no-steps", "unsampled", "not-sampled", "no-sites",
        "not-moved", "few-samples", or "".

        Not moved: every applied update that was measured is exactly 0, or none was made at all.
        A loss that fell by a fifth all the same says that something moved that nobody looked at.
        Few samples: those that a budget allowed; what is wrong in them is wrong all the same.
        """
        if self.source == "predicted":
            return ""
        if not len(self.steps):
            return "unsampled" if self.unsampled else "not-sampled" if self.counted else "no-steps"
        if not self.sites:
            return "no-sites"
        moves = [v for c, v in self.columns.items() if c.of == "param" and c.metric == "update"]
        known = [v[np.isfinite(v)] for v in moves]
        still = any(len(v) for v in known) and not any((v > 0).any() for v in known)
        if (still or self._no_update) and not self._fell:
            return "not-moved"
        few = self.meta.get("every") == "auto" and len(self.steps) < _FEW
        return "few-samples" if few and self.counted >= _MANY else ""

    @property
    def _no_update(self) -> bool:
        """Did the session see passes and no step of any optimizer?"""
        noted = self.meta.get("optimizers") or ()
        stepped = any(isinstance(o, Mapping) and "turn" in o for o in noted)
        return bool(self.meta.get("no_update")) and not stepped

    @property
    def _fell(self) -> bool:
        y = self.curve_loss[np.isfinite(self.curve_loss)]
        n = len(y) // 5
        if n < 2:
            return False
        first, last = float(np.median(y[:n])), float(np.median(y[-n:]))
        return first - last > 0.2 * abs(first)

    def by_key(self) -> dict[SiteKey, Site]:
        """The sites by what joins them with those of other runs and ranks.

        >>> import numpy as np
        >>> from evenflow import Run, Site
        >>> def run(*ops):
        ...     sites = tuple(Site(i, "Net", "", op, "other") for i, op in enumerate(ops))
        ...     return Run("", {}, sites, (), np.array([]), {}, np.array([]), np.array([]))
        >>> one, other = run("linear", "relu").by_key(), run("tanh", "linear").by_key()
        >>> [(one[key].id, other[key].id) for key in one.keys() & other.keys()]
        [(0, 1)]
        """
        return {site.key: site for site in self.sites}

    def site(self, id: int, metric: str) -> Floats | None:
        """Column [T] of a site's metric; None if it was never measured."""
        return self.columns.get(channel("site", id, metric))

    def edge(self, id: int, input: int, metric: str) -> Floats | None:
        """Column [T] of what site `id` sends back to its input site; None if never measured."""
        return self.columns.get(channel("edge", id, metric, input))

    def param(self, id: int, metric: str) -> Floats | None:
        """Column [T] of a parameter's metric; None if it was never measured."""
        return self.columns.get(channel("param", id, metric))

    def step(self, metric: str) -> Floats | None:
        """Column [T] of a step's metric; None if it was never measured."""
        return self.columns.get(channel("step", 0, metric))


def damaged_rows(run: Run) -> Mapping[str, int]:
    """Rows that were left out of its file, of each table."""
    found = [e.detail.get("rows") for e in run.events if e.kind == "damaged"]
    return (found[-1] if found else None) or {}
