"""Channels: what one number of a sampled step is about, and the record of one sampled step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

#: Metrics of a site. "core" ones are taken at every sampled step, "dear" ones at fewer.
#: Forward, over the elements of the site's output x (large tensors are subsampled):
SITE_METRICS: dict[str, str] = {
    "rms": "root mean square of x",
    "mean": "dear (data: always): mean of x",
    "absmax": "dear (data and float16: always): largest |x| (inf or NaN if x holds one)",
    "zeros": "share of elements exactly 0",
    "saturated": "share of elements past an asymptote, |f'| < 1 % of its maximum (activations)",
    "nonfinite": "number of NaN and Inf elements of x",
    "dead": "share of units no gradient reached in any batch of the window, among units observed",
    "observed": "number of batches in the window that `dead` speaks of (at most 64)",
    "spread": "dear: 1 - c, c = mean cosine-like similarity of two samples' x (theory's 1-c)",
    "slope": "dear: sqrt(E f'(z)^2) of an activation",
    "bend": "dear: (largest - least) f'(z) over its largest size: 0 = affine on all it saw "
    "(activations)",
    "entropy": "dear: attention entropy / log(number of keys), mean of heads and queries; 1 = even",
    "entropy_min": "dear: the same, of the least even head",
    "logit_max": "dear: largest |q.k| / sqrt(d) of an attention",
    "row_sum": "dear: mean over samples of x summed over its last dim (1 after a softmax)",
    "negative": "dear, predictions, inputs and targets: share of elements below 0",
    "pooled": "dear, norms: number of values each mean and variance was taken over (none with "
    "running statistics, that is a batch norm in eval mode)",
    "rows": "losses: length of the prediction's first axis, as the loss function was given it",
    "weight_rms": "dear: root mean square of the side of a product that carries no gradient, where "
    "the product is of no layer (advantages, sample weights)",
    "weight_negative": "dear: of the same, the share of elements below 0",
    "weight_even": "dear: of the same, mean |w| / rms (1: all of one size)",
    "feature_low": "dear, inputs and targets: 5th percentile over features of the feature's rms",
    "feature_high": "dear, inputs and targets: largest rms of a feature",
    "outlier": "dear, inputs and targets: largest |x - median| / (IQR/1.349) over features",
    "integer": "dear, inputs and targets: 1 if every element is a whole number",
    "std": "dear, inputs and targets: standard deviation over all elements",
    "flow": "dear, fused recurrent layers: decades gradient gains from the last time step back to "
    "the first, by a cotangent on the last step only, off the training step",
    "flow_steps": "dear, with flow: number of time steps",
    "rank": "forecasts only: effective number of directions in which samples' x differ, "
    "(sum of eigenvalues)^2 / (sum of their squares)",
    # Backward, over delta = dL/d(output), gradients unscaled if a GradScaler is in use:
    "delta": "rms of delta at the site's output",
    "delta_zeros": "share of elements of delta exactly 0",
    "delta_nonfinite": "number of NaN and Inf elements of delta",
    "delta_subnormal": "share of delta's non-zero elements below the smallest normal of its dtype, "
    "as it stands in memory (scaled)",
}
#: Metrics of an edge, from `Channel.id` (the site) back to its input `Channel.edge` (a site too).
EDGE_METRICS: dict[str, str] = {
    "delta_in": "rms of the part of delta that this site sends back to that input",
    "share": "<delta_k, delta> / |delta|^2 at the fork `edge`: this branch's signed share, sum 1",
}
#: Metrics of a parameter (`Channel.id` indexes `Run.params`).
PARAM_METRICS: dict[str, str] = {
    "grad": "2-norm of the gradient the optimizer used (unscaled, reduced)",
    "grad_absmax": "largest |gradient| (inf or NaN if it holds one)",
    "grad_zeros": "share of elements of the gradient exactly 0",
    "weight": "2-norm of the parameter before the update; where the dear readings were not taken "
    "and it has more than 65536 elements, estimated from one in ten (within 1 % if alike)",
    "alike": "dear, the first three times: share of units (rows) whose weights and gradient equal "
    "another's (of large weights the first rows)",
    "update": "2-norm of the applied update: |w_after - w_before|; estimated as `weight` is",
    "grad_nonfinite": "1 if the gradient's norm is NaN or Inf; else, and on a device whose numbers "
    "nobody waits for, left out",
    "weight_nonfinite": "the same of the weight before the update",
    "update_nonfinite": "the same of the applied update",
}
#: Metrics of the step (`Channel.id` is 0).
STEP_METRICS: dict[str, str] = {
    "loss": "sum of the scalars backward was called on (unscaled)",
    "lr": "learning rate of the first parameter group (of several optimizers, the largest one's)",
    "momentum": "momentum (or beta1) of that group",
    "weight_decay": "of that group",
    "grad_norm": "2-norm of all gradients together",
    "grad_nonfinite": "number of parameters whose gradient's norm is NaN or Inf; left out where "
    "that is known to be none",
    "weight_nonfinite": "the same of the weights before the update",
    "update_nonfinite": "the same of the applied update",
    "scale": "GradScaler's scale",
    "optimizer": "index of the optimizer that made this update, in `Run.meta['optimizers']`; left "
    "out where several made it together",
    "backwards": "outermost backward passes within the step (micro-batches, several losses)",
    "wall": "seconds this step took, Evenflow included",
    "bare": "seconds an unsampled step takes (median of the latest)",
    "cost": "seconds Evenflow itself took in this step, by its own clocks",
    "spent": "seconds watching has taken until then, what its clocks cannot see included",
    "trained": "seconds the training has taken until then, without those",
}


class Channel(NamedTuple):
    """What a number is about. `of` is "site", "edge", "param" or "step"."""

    of: str
    id: int
    metric: str
    edge: int = -1


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was measured at one sampled step.

    Attributes:
        step: number of completed parameter updates before this one (0 is the first step).
        channels: what each value is about; the same tuple object is reused while it holds.
        values: float64, same length as `channels`; a value that could not be had is left out,
            never filled in; NaN means that NaN was measured (nonfinite counts say so too).
        source: "measured" by the tape or "predicted" by a forecast.
    """

    step: int
    channels: tuple[Channel, ...]
    values: npt.NDArray[np.float64]
    source: str = "measured"
