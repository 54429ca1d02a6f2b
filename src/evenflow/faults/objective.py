"""Losses that measure no progress: what they are made of tells, not their name."""

from __future__ import annotations

import numpy as np

from .readings import Readings
from .series import Floats, median

#: Ops that make, or are worked out from, a logarithm of a probability or a ratio of two.
LIKELIHOOD = frozenset(
    {
        *("logsumexp", "log_softmax", "log", "exp", "logsigmoid", "pow", "square", "softmax"),
        *("cross_entropy", "nll_loss", "binary_cross_entropy"),
        "binary_cross_entropy_with_logits",
    }
)
#: Ops that give a difference a floor again.
FLOORS = frozenset(
    {
        *("pow", "square", "abs", "relu", "clamp", "clamp_min", "softplus", "exp", "sqrt", "norm"),
        *("sigmoid", "logsigmoid", "log", "tanh", "mul"),
    }
)
#: Share of weights of the rarer sign, from which on a weighted likelihood goes up as well as down.
BOTH_SIGNS = 0.05
#: Mean |w| / rms above which all weights are of one size (the labels -1 and 1 of a hinge loss).
EVEN = 0.999
#: A scale that changes so often over the run is not that of data.
DRIFT = 3.0
#: The same where a copy of a network follows by hand, which is what moves such targets.
SHIFT = 1.2
#: Relative change of a weight's norm that is none of rounding.
MOVED = 1e-5
#: Share of losses of the rarer sign, in two thirds of the run.
SIGNS = 0.1


def objective(view: Readings, losses: Floats) -> str:
    """What the loss is, if it measures no progress; "" if it may. `losses`: the curve.

    "adversarial": losses that compete. "policy-gradient": likelihoods weighted by numbers of
    both signs, or of a scale that moves (advantages, returns). "moving-target": a squared or
    absolute error against a target whose scale moves (a network's own estimate): by `SHIFT`
    where a copy of a network is moved by hand (a target network), by `DRIFT` where none is known;
    with such a copy also a likelihood weighted by distributions of changing size. "contrast": the
    outputs of one network for two batches, subtracted (energies, a critic). "sign-changing": a
    loss without a loss function that goes through 0 to and fro.
    """
    if view.adversarial:
        return "adversarial"
    weighted = _weighted_likelihood(view)
    if weighted:
        return weighted
    if _moving_target(view):
        return "moving-target"
    if _contrast(view):
        return "contrast"
    return "sign-changing" if not view.losses and _changes_sign(losses) else ""


def _weighted_likelihood(view: Readings) -> str:
    rms, negative = view.site("weight_rms"), view.site("weight_negative")
    # an agent acts with gradients on, too: what a backward reached is the training
    rms = np.where(np.isfinite(view.site("delta")), rms, np.nan)
    after = frozenset(view.beyond)
    ids = [
        i
        for i in map(int, np.flatnonzero(np.isfinite(rms).any(axis=0)))
        if i in after
        # what is weighted comes from a likelihood, on the way from the last layer
        and any(view.sites[j].op in LIKELIHOOD for j in view.ancestors(view.parents(i)) & after)
        and not _is_loss_scale(view, rms[:, i])
        and (_varies(rms[:, i]) or _varies(view.site("weight_even")[:, i]))
    ]
    if not ids:
        return ""
    size, below = rms[:, ids], negative[:, ids]
    known = np.isfinite(size) & np.isfinite(below)
    share = float(below[known].mean())
    # of all weights of a row together: a script may weigh each sample by itself
    mean = (view.site("weight_even")[:, ids] * size)[known].mean()
    even = float(mean / np.sqrt((size[known] ** 2).mean()))
    if min(share, 1 - share) > BOTH_SIGNS and even < EVEN:
        return "policy-gradient"
    scale = median(size, axis=1)
    tables = [i for i in ids if len(view.sites[i].shape) > 1 and view.sites[i].shape[-1] > 1]
    if _follows(view) and any(_varies(rms[:, i]) for i in tables):
        return "moving-target"  # distributions, by class; labels of data keep their size
    return "policy-gradient" if _drifts(scale) else ""


def _is_loss_scale(view: Readings, weight: Floats) -> bool:
    """Whether a weight is the factor by which a GradScaler multiplies the loss: it grows."""
    scale = view.step("scale")
    both = np.isfinite(weight) & np.isfinite(scale)
    return bool(both.any() and np.allclose(weight[both], scale[both], rtol=1e-3))


def _follows(view: Readings) -> bool:
    """Whether a script moves weights by hand that no optimizer holds: a network's copy."""
    weight = view.param("weight")
    for p in view.run.params:
        known = weight[np.isfinite(weight[:, p.id]) & view.sound, p.id]
        if p.optimizer < 0 and len(known) > 1 and np.ptp(known) > MOVED * known.max():
            return any(q.optimizer >= 0 for q in view.run.params)
    return False


def _varies(column: Floats) -> bool:
    known = column[np.isfinite(column)]
    return len(known) >= 3 and float(np.ptp(known)) > 1e-3 * float(np.abs(known).max())


def _drifts(column: Floats, far: float = DRIFT) -> bool:
    """Whether a positive scale is, late in the run, several times what it was early, or the
    other way round, beyond all that it was in either part."""
    known = column[np.isfinite(column) & (column > 0)]
    n = len(known) // 4
    if n < 2:
        return False
    first, last = known[:n], known[-n:]
    for low, high in ((first, last), (last, first)):
        if high.min() > low.max() and np.median(high) > far * np.median(low):
            return True
    return False


def _moving_target(view: Readings) -> bool:
    far = SHIFT if _follows(view) else DRIFT
    for i in view.losses:
        t = view.target_of(i)
        if view.sites[i].op not in ("mse_loss", "mse", "l1_loss", "smooth_l1_loss", "huber_loss"):
            continue
        if t >= 0 and _drifts(view.site("rms")[:, t], far):
            return True
    return False


def _contrast(view: Readings) -> bool:
    if view.losses:
        return False
    after = frozenset(view.beyond)
    for s in view.sites:
        if s.id not in after or s.op not in ("sub", "add") or len(view.parents(s.id)) != 2:
            continue
        onward = view.descendants([s.id]) - {s.id}
        if s.shape not in ((), (1,)) or any(view.sites[i].op in FLOORS for i in onward):
            continue
        a, b = (view.ancestors([p]) for p in view.parents(s.id))
        negated = any(view.sites[i].op == "neg" for i in (a ^ b) & after)
        if s.op == "add" and not negated:
            continue
        within = (view.sites[i] for i in (a | b) & after if not view.weights[i])
        if any(site.op in FLOORS for site in within):
            continue
        if _places(view, a & view.outputs) & _places(view, b & view.outputs) and not (
            a & b & view.outputs
        ):
            return True
    return False


def _places(view: Readings, ids: frozenset[int]) -> set[tuple[str, str, str, int]]:
    return {view.sites[i].place for i in ids}


def _changes_sign(y: Floats) -> bool:
    known = y[np.isfinite(y) & (y != 0)]
    if len(known) < 30:
        return False
    above = [float((part > 0).mean()) for part in np.array_split(known, 3)]
    return sum(min(share, 1 - share) > SIGNS for share in above) >= 2
