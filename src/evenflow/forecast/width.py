"""How far a forecast may be off: fluctuations from finite width, gathered over depth. No torch.

‖δ‖² fluctuates like exp(C Σ 1/n_l) over the layers it has passed (Hanin & Rolnick 2018,
arXiv:1803.01719), so log10 ‖δ‖ has a standard deviation of sqrt(C Σ 1/n_l) / (2 ln 10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..network import MIXING
from ..schema import Site

#: C where the weights are known and only data and cotangent differ (one pass), and where the
#: weights themselves are drawn (static). On the safe side: 5 is ReLU's for a single sample (Hanin &
#: Rolnick); over a batch of 64 `benchmarks/trainability/error_bar.py` finds .36 and 2.9 at most.
KNOWN_WEIGHTS, DRAWN_WEIGHTS = 1.0, 5.0


def error_bars(sites: Sequence[Site], c: float = KNOWN_WEIGHTS) -> tuple[float, ...]:
    """[S] decades: one standard deviation of log10 δ at each site, 0 at the output.

    The sum runs over the layers on the longest way from the output back to the site; a layer's
    width is the number of elements of its output for one sample (a convolution's channels times
    pixels: its pixels are averages over a window, and so are their gradients).
    """
    total = [0.0] * len(sites)
    for site in reversed(sites):
        width = max(1, site.size // max(1, site.shape[0] if site.shape else 1))
        here = total[site.id] + (1.0 / width if site.kind in MIXING else 0.0)
        for i in site.inputs:
            if 0 <= i < len(sites) and i != site.id:
                total[i] = max(total[i], here)
    return tuple(math.sqrt(c * t) / (2.0 * math.log(10.0)) for t in total)
