"""What a run's network has, as far as advice asks for it."""

from __future__ import annotations

import numpy as np

from ..faults import View, drawn
from ..network import PRODUCTS
from ..schema import Run

# not the package, which may fetch torch
from ..treatments import Facts, of_run
from ..words import Network

#: Inputs of such a size need no scaling.
SCALED = (0.3, 3.0)
#: Share of 1 that an LSTM's forget biases need be, as the norm of its biases tells.
OPEN = 0.8


def network_of(run: Run) -> Network:
    """The network's depth and what it has (see `Network`)."""
    view, facts = View(run), of_run(run)
    told = {
        "norm": facts.norms,
        "skips": facts.skips,
        "adaptive": facts.adaptive,
        "scaled": _scaled(view),
        "half": any(s.dtype in ("float16", "bfloat16") for s in run.sites),
    }
    found = {*facts.activations, *facts.norms, *drawn(view), *_time(view, facts)}
    found |= {*_optimizers(view), *(name for name, has in told.items() if has)}
    return Network(max(view.depth, default=0), frozenset(found))


def _optimizers(view: View) -> set[str]:
    told = (("momentum", "momentum"), ("weight_decay", "decay"))
    values = ((name, o.get(key)) for o in view.optimizers for key, name in told)
    return {name for name, v in values if isinstance(v, (int, float)) and v > 0}


def _time(view: View, facts: Facts) -> set[str]:
    """ "recurrent", and whether its cells are gated and keep their state from the start."""
    if not facts.recurrent:
        return set()
    gated = any("lstm" in op or "gru" in op for op in facts.recurrent)
    for s in view.sites:  # a cell of the user's own
        by_hand = s.op in PRODUCTS and "cell" in facts.recurrent
        gated |= by_hand and any(view.sites[p].op == "sigmoid" for p in view.parents(s.id))
    out = {"recurrent", "gated"} if gated else {"recurrent"}
    return out | ({"forget-bias"} if _open(view) else set())


def _open(view: View) -> bool:
    """Whether an LSTM's biases are large enough for a forget gate that starts open."""
    found = False
    names = {n for s in view.sites if "lstm" in s.op for n in s.params}
    size = view.param("weight")
    for p in view.run.params:
        if p.name in names and len(p.shape) == 1 and len(size):
            open_ = OPEN * np.sqrt(p.shape[0] / 4)
            found |= bool(np.nan_to_num(size[0, p.id]) >= open_)
    return found


def _scaled(view: View) -> bool:
    low, high = SCALED
    known = [i for i in view.data if np.isfinite(view.recent("rms")[i])]
    for i in known:
        rms, mean = (float(view.recent(m)[i]) for m in ("rms", "mean"))
        least, most = (float(view.recent(m)[i]) for m in ("feature_low", "feature_high"))
        even = not (least < low or most > high)  # of inputs without features nothing is known
        if not (low <= rms <= high and abs(mean) <= rms / 2 and even):
            return False
    return bool(known)
