"""Where NaN or Inf arose: the first operation whose inputs were finite and whose output, or
gradient, was not. Pure questions about one sampled step; S sites.

    forward   its output: reads finite numbers, gives others
    backward  its derivative: is sent a finite layer error, sends on another
    mask      minus infinity put before a softmax is no fault; a softmax that makes NaN of it is
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..network import MASKING, links, reach, turned
from ..schema import Site
from .series import Bools, Floats

#: What puts minus infinity where a softmax is to see nothing.
_MASKS = MASKING | {"add", "sub", "input"}
_SOFT = ("softmax", "attention")
#: Where of several one must be chosen: operations with an infinite slope somewhere.
_STEEP = frozenset(
    (
        *("sqrt", "rsqrt", "pow", "float_power", "div", "reciprocal", "log", "prod", "hypot"),
        *("norm", "vector_norm", "cdist", "std", "var", "std_mean", "var_mean"),
        *("acos", "asin", "acosh", "atanh", "atan2"),
    )
)


class Spread:
    """NaN and Inf at one sampled step.

    Args:
        sites: of the run.
        count: [S] non-finite elements of each output; NaN where not measured.
        rms: [S] root mean square of each output: Inf where it holds Inf alone, else NaN.
        usual: [S] sites that held Inf in a step in which nothing went wrong: masks.
    """

    def __init__(
        self, sites: Sequence[Site], count: Floats, rms: Floats, usual: Bools | None = None
    ) -> None:
        self.sites, self.count = sites, count
        self.parents = links(sites)
        self.consumers = turned(self.parents)
        self.bad = count > 0
        self.infinite = self.bad & np.isinf(rms)
        self.usual = np.zeros(len(sites), dtype=np.bool_) if usual is None else usual

    def forward(self) -> int | None:
        """Id of the site where it arose in the forward; None if all is finite, or masked."""
        found: list[int] = []
        for i in map(int, np.flatnonzero(self.bad)):
            known = [c for c in self.consumers[i] if not np.isnan(self.count[c])]
            if known and not any(self.bad[c] for c in known):
                continue  # nothing that reads it has lost anything
            given = [p for p in self.parents[i] if self.bad[p]]
            if given and (self.infinite[i] or not self.infinite[given].all()):
                continue  # it came in
            if not given:
                if not self._is_mask(i):
                    found.append(i)
            elif all(self._is_mask(r) for p in given for r in self._births(p)) or (
                self.sites[i].kind in _SOFT and all(self._put(p) for p in given)
            ):
                found.append(i)
            else:
                found += [r for p in given for r in self._births(p) if not self._is_mask(r)]
        # several: the data first, as all else may depend on them in ways no edge tells
        return min(found, key=lambda i: (self.sites[i].kind != "input", i), default=None)

    def _births(self, id: int) -> list[int]:
        """Where the infinity at a site came from."""
        way = reach(self.parents, [id], lambda i: bool(self.bad[i]))
        return [i for i in way if self.bad[i] and not self.bad[list(self.parents[i])].any()]

    def _put(self, id: int) -> bool:
        return all(self.usual[r] or self.sites[r].op in _MASKS for r in self._births(id))

    def _is_mask(self, id: int) -> bool:
        """Infinity that is meant: one that did no harm before, or on its way to a softmax."""
        if not self.infinite[id]:
            return False
        if self.usual[id]:
            return True
        return self.sites[id].op in _MASKS and self._meets_softmax(id, 4)

    def _meets_softmax(self, id: int, far: int) -> bool:
        todo = [id]
        for _ in range(far):
            todo = [c for i in todo for c in self.consumers[i]]
            if any(self.sites[c].kind in _SOFT for c in todo):
                return True
            todo = [c for c in todo if self.infinite[c]]
        return False

    def backward(self, delta: Floats) -> int | None:
        """Id of the site in whose derivative it arose.

        `delta`: [S] non-finite elements of the layer error at each output; NaN if not measured.
        """
        bad = delta > 0
        makers: list[int] = []
        for i in map(int, np.flatnonzero(bad)):
            senders = [c for c in self.consumers[i] if not np.isnan(delta[c])]
            if senders and not any(bad[c] for c in senders):
                makers += senders
        steep = [i for i in makers if self.sites[i].op in _STEEP or self.sites[i].kind in _SOFT]
        return max(steep or makers, default=None)
