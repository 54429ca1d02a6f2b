"""The registry of metrics: what the numbers of a sampled step are called, and all that is known
of each. Whoever writes or reads a number asks here; a name that is not here is an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..lang import _
from ..nearby import did_you_mean, there_are

#: What a metric is of: a site; an edge, from a site back to one of its inputs; a class that a loss
#: site tells apart; a parameter; the
#: step as a whole.
Of = Literal["site", "edge", "class", "param", "step"]
#: Classes of a loss that are told apart, at most.
CLASSES = 32
#: Samples of a batch that are told again by their fingerprint, and in a whole run, at most.
PRINTED, REMEMBERED = 256, 1 << 14
#: When it is taken: at every sampled step; at fewer, in full readings; by forecasts alone.
Tier = Literal["core", "full", "forecast"]
#: How values of one step (micro-batches, a trunk under two losses) become one.
Fold = Literal["mean", "rms", "largest", "least", "sum", "norm", "last"]
#: x: as the site's output; δ: loss per x; w: as the parameter; g: loss per w; share: 0 to 1.
Unit = Literal[
    "x", "δ", "w", "g", "loss", "share", "ratio", "count", "decades", "seconds", "yes or no",
    "index",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        of, name: what a `Channel` calls it.
        tier: "core" at every sampled step, "full" at fewer ("always", says the text, where some
            sites have it at every one), "forecast" never in a training.
        fold: how its values within one step combine; for what a root mean square is, not the mean.
        unit: what it is counted in.
        text: how it is defined. Large tensors are subsampled.
        exact_delta: it is only right where δ neither underflowed nor overflowed.
    """

    of: Of
    name: str
    tier: Tier
    fold: Fold
    unit: Unit
    text: str
    exact_delta: bool = False


_METRICS = (
    # Forward, over the elements of the site's output x:
    Metric("site", "rms", "core", "rms", "x", "root mean square of x"),
    Metric("site", "mean", "full", "mean", "x", "mean of x (data: always)"),
    Metric("site", "absmax", "full", "largest", "x", "largest |x|, inf or NaN if x holds one (data "
           "and float16: always)"),
    Metric("site", "zeros", "core", "mean", "share", "elements exactly 0"),
    Metric("site", "saturated", "core", "mean", "share", "elements past an asymptote, |f'| < 1 % "
           "of its maximum (activations)"),
    Metric("site", "nonfinite", "core", "sum", "count", "NaN and Inf elements of x"),
    Metric("site", "dead", "core", "last", "share", "units no gradient reached in any batch of the "
           "window, among units observed", exact_delta=True),
    Metric("site", "observed", "core", "last", "count", "batches in the window that `dead` speaks "
           "of (at most 64)", exact_delta=True),
    Metric("site", "spread", "full", "mean", "ratio", "1 - c, c = mean cosine-like similarity of "
           "two samples' x (theory's 1-c)"),
    Metric("site", "slope", "full", "rms", "ratio", "sqrt(E f'(z)^2) of an activation",
           exact_delta=True),
    Metric("site", "bend", "full", "largest", "ratio", "(largest - least) f'(z) over its largest "
           "size: 0 = affine on all it saw (activations)", exact_delta=True),
    Metric("site", "entropy", "full", "mean", "share", "attention entropy / log(number of keys), "
           "mean of heads and queries; 1 = even"),
    Metric("site", "entropy_min", "full", "least", "share", "the same, of the least even head"),
    Metric("site", "logit_max", "full", "largest", "ratio", "largest |q.k| / sqrt(d) of an "
           "attention; largest score a softmax was given, hidden keys left out"),
    Metric("site", "favoured", "full", "mean", "share", "what topk or argmax chose from x along "
           "its last axis, k of K at a time: share of the choices on the k most chosen options"),
    Metric("site", "even", "full", "mean", "share", "with favoured: k/K, if all were chosen alike"),
    Metric("site", "idle", "full", "mean", "share", "with favoured: options chosen less than a "
           "tenth as often as that"),
    Metric("site", "latent_idle", "full", "mean", "share", "latents drawn as μ + σ·ε: those whose "
           "μ varies by less than .01 over samples (variance)"),
    Metric("site", "latent_kl", "full", "mean", "ratio", "the same: (μ² + σ² - 1 - ln σ²) / 2, "
           "nats a latent"),
    Metric("site", "typical", "full", "mean", "x", "median |x| (layers, sums)"),
    Metric("site", "row_sum", "full", "mean", "x", "mean over samples of x summed over its last "
           "dim (1 after a softmax)"),
    Metric("site", "negative", "full", "mean", "share", "predictions, inputs and targets: elements "
           "below 0"),
    Metric("site", "pooled", "full", "mean", "count", "norms: values each mean and variance was "
           "taken over (none with running statistics, that is a batch norm in eval mode)"),
    Metric("site", "along", "full", "largest", "count", "softmax and normalize: length of the axis "
           "it goes along"),
    Metric("site", "axis", "full", "last", "index", "with along: the axis, counted from the "
           "first"),
    Metric("site", "mixed", "full", "last", "share", "where samples get mixed: other samples whose "
           "input one sample's output depends on, by a forward run again off the step, once"),
    Metric("site", "mixed_by", "full", "last", "index", "with mixed: 0 memory dealt out anew by a "
           "view, 1 a layer that takes the samples for time, 2 an operation along the samples"),
    Metric("site", "dealt", "full", "largest", "yes or no", "1 where a view gave one axis the "
           "memory of another, within samples; measured once, from shapes"),
    Metric("site", "ahead", "full", "last", "share", "where time gets mixed: later inputs that an "
           "output depends on which is held against the next of them; measured as mixed"),
    Metric("site", "off_norms", "core", "least", "count", "one site of each root module that is "
           "trained: batch norms in it that are in eval mode, if it is so itself; else 0"),
    Metric("site", "off_dropouts", "core", "least", "count", "the same of what drops out (rates "
           "above 0)"),
    Metric("site", "rows", "core", "mean", "count", "losses: length of the prediction's first "
           "axis, as the loss function was given it"),
    Metric("site", "summed", "full", "least", "yes or no", "losses: 1 if the function was asked "
           "for the sum over all elements (reduction='sum')"),
    Metric("site", "weighed", "full", "largest", "yes or no", "losses: 1 if the function was given "
           "weights of classes or elements"),
    Metric("site", "weight_rms", "full", "rms", "x", "root mean square of the side of a product "
           "that carries no gradient, where the product is of no layer (advantages, weights)"),
    Metric("site", "weight_negative", "full", "mean", "share", "of the same, elements below 0"),
    Metric("site", "weight_even", "full", "mean", "ratio", "of the same, mean |w| / rms (1: all of "
           "one size)"),
    Metric("site", "feature_low", "full", "mean", "x", "inputs and targets: 5th percentile over "
           "features of the feature's rms"),
    Metric("site", "feature_high", "full", "largest", "x", "inputs and targets: largest rms of a "
           "feature"),
    Metric("site", "outlier", "full", "largest", "ratio", "inputs and targets: largest |x - median|"
           " over features, in the rms that the feature's distances have without their largest 2 %"
           " (at least the median of that over features)"),
    Metric("site", "integer", "full", "least", "yes or no", "inputs and targets: 1 if every "
           "element is a whole number"),
    Metric("site", "std", "full", "rms", "x", "inputs and targets: standard deviation over all "
           "elements"),
    Metric("site", "varies", "full", "largest", "ratio", "inputs, whole numbers too: largest over "
           "features of a feature's deviation over samples (axis 0) as a share of its rms; 0 if all"
           " samples are equal"),
    Metric("site", "again", "full", "mean", "share", "inputs: samples that an earlier batch, of "
           f"those so read, held to the bit (axis 0; the first {PRINTED} of a batch; "
           f"{REMEMBERED:,} are remembered)"),
    Metric("site", "label_mean", "full", "mean", "x", "targets: mean over the batch of one number "
           "a sample (a class's index; of several columns their sum, weighted by place; of a map "
           "of classes its mean)"),
    Metric("site", "label_rms", "full", "rms", "x", "root mean square of the same numbers"),
    Metric("site", "flow", "full", "mean", "decades", "fused recurrent layers: what gradient gains "
           "from the last time step back to the first, by a cotangent on the last step only, off "
           "the training step"),
    Metric("site", "flow_steps", "full", "mean", "count", "with flow: time steps"),
    Metric("site", "rank", "forecast", "mean", "count", "effective number of directions in which "
           "samples' x differ, (sum of eigenvalues)^2 / (sum of their squares)"),
    # Backward, over δ = dL/d(output), gradients unscaled if a GradScaler is in use:
    Metric("site", "delta", "core", "rms", "δ", "rms of δ at the site's output", exact_delta=True),
    Metric("site", "delta_zeros", "full", "mean", "share", "elements of δ exactly 0 (half "
           "precision: always)"),
    Metric("site", "delta_nonfinite", "core", "sum", "count", "NaN and Inf elements of δ"),
    Metric("site", "delta_subnormal", "full", "mean", "share", "δ's non-zero elements below the "
           "smallest normal of its dtype, as it stands in memory: scaled (half precision: always)"),
    Metric("edge", "delta_in", "core", "rms", "δ", "rms of the part of δ that this site sends back "
           "to that input", exact_delta=True),
    Metric("edge", "share", "core", "mean", "ratio", "<δ_k, δ> / |δ|^2 at the fork `edge`: this "
           "branch's signed share, sum 1 (of more than two branches in full readings)",
           exact_delta=True),
    # Classes that a loss function (cross entropies) tells apart, where they are few:
    Metric("class", "labelled", "full", "mean", "share", "labels of the batch that name "
           "this class"),
    Metric("class", "said", "full", "mean", "share", "predictions whose largest score is this "
           "class's"),
    # Parameters, around the update:
    Metric("param", "grad", "core", "rms", "g", "2-norm of the gradient the optimizer used "
           "(unscaled, reduced)", exact_delta=True),
    Metric("param", "grad_absmax", "full", "largest", "g", "largest |gradient|, inf or NaN if it "
           "holds one"),
    Metric("param", "grad_zeros", "full", "mean", "share", "elements of the gradient exactly 0"),
    Metric("param", "grad_left", "full", "least", "g", "2-norm of `.grad` when a backward of this "
           "step began, the least of those that reach it: 0 where gradients are cleared (of an "
           "optimizer that steps less often than another, only if it steps alone)"),
    Metric("param", "weight", "core", "rms", "w", "2-norm of the parameter before the update. "
           "Exact up to 65536 elements, in full readings and off the CPU; else one element in ten "
           "is read, and what these missed at the latest full reading is added"),
    Metric("param", "alike", "full", "mean", "share", "the first three times: units (rows) whose "
           "weights and gradient equal another's (of large weights the first rows)"),
    Metric("param", "zero_rows", "full", "mean", "share", "the first three times: units (rows) all "
           "of whose weights are 0, biases not counted"),
    Metric("param", "update", "core", "rms", "w", "2-norm of the applied update, w_after - "
           "w_before. Above 65536 elements always from one in ten (within 1 % if alike), as the "
           "whole would have to be copied; left out where these stood still and others may not "
           "have"),
    Metric("param", "grad_nonfinite", "core", "sum", "yes or no", "1 if the gradient's norm is NaN "
           "or Inf; else, and on a device whose numbers nobody waits for, left out"),
    Metric("param", "weight_nonfinite", "core", "sum", "yes or no", "the same of the weight before "
           "the update"),
    Metric("param", "update_nonfinite", "core", "sum", "yes or no", "the same of the applied "
           "update"),
    # The step:
    Metric("step", "loss", "core", "sum", "loss", "sum of the scalars backward was called on "
           "(unscaled)"),
    Metric("step", "lr", "core", "mean", "ratio", "learning rate of the first parameter group (of "
           "several optimizers, the largest one's)"),
    Metric("step", "momentum", "core", "mean", "ratio", "momentum (or beta1) of that group"),
    Metric("step", "weight_decay", "core", "mean", "ratio", "the largest of that "
           "optimizer's groups"),
    Metric("step", "grad_norm", "core", "norm", "g", "2-norm of all gradients together (each of "
           "several optimizers notes that of its own)"),
    Metric("step", "grad_kept", "full", "mean", "ratio", "2-norm of the gradients just before the "
           "update over that of the same gradients as the latest backward left them, both unscaled "
           "(1: nothing was done to them in between)"),
    Metric("step", "unscaled", "full", "least", "yes or no", "1 if the script itself called "
           "GradScaler.unscale_ before GradScaler.step, 0 if that did it"),
    Metric("step", "grad_nonfinite", "core", "sum", "count", "parameters whose gradient's norm is "
           "NaN or Inf; left out where that is known to be none"),
    Metric("step", "weight_nonfinite", "core", "sum", "count", "the same of the weights before the "
           "update"),
    Metric("step", "update_nonfinite", "core", "sum", "count", "the same of the applied update"),
    Metric("step", "scale", "core", "mean", "ratio", "GradScaler's scale"),
    Metric("step", "optimizer", "core", "mean", "index", "the optimizer that made this update, in "
           "`Run.meta['optimizers']`; left out where several made it together"),
    Metric("step", "backwards", "core", "mean", "count", "outermost backward passes within the "
           "step (micro-batches, several losses)"),
    Metric("step", "wall", "core", "mean", "seconds", "this step took, Evenflow included"),
    Metric("step", "bare", "core", "mean", "seconds", "an unsampled step takes (median of the "
           "latest)"),
    Metric("step", "cost", "core", "mean", "seconds", "Evenflow itself took in this step, by its "
           "own clocks"),
    Metric("step", "spent", "core", "mean", "seconds", "watching has taken until then, what its "
           "clocks cannot see included"),
    Metric("step", "trained", "core", "mean", "seconds", "the training has taken until then, "
           "without those"),
)  # fmt: skip
#: Every metric, by (of, name).
METRICS: dict[tuple[str, str], Metric] = {(m.of, m.name): m for m in _METRICS}


def metric_named(of: str, name: str) -> Metric:
    """The metric of that name. ValueError, with the nearest names, where there is none.

    >>> from evenflow.schema import metric_named
    >>> metric_named("site", "delta").text
    "rms of δ at the site's output"
    """
    found = METRICS.get((of, name))
    if found is None:
        names = [n for o, n in METRICS if o == of]
        other = _("{name!r} of a {of}")
        elsewhere = [other.format(name=n, of=o) for o, n in METRICS if n == name]
        hint = did_you_mean(name, names, 3, also=elsewhere) or there_are(names)
        said = _("a {of} has no metric {name!r}; {hint}")
        raise ValueError(said.format(of=of, name=name, hint=hint))
    return found


def _extreme(choose: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float]], float]:
    def fold(values: Sequence[float]) -> float:
        return math.nan if any([v != v for v in values]) else choose(values)

    return fold


#: Of one or more values. NaN comes of NaN, but where an infinite square or the last one decides.
FOLDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "rms": lambda values: math.hypot(*values) / math.sqrt(len(values)),
    "largest": _extreme(max),
    "least": _extreme(min),
    "sum": sum,
    "norm": lambda values: math.hypot(*values),
    "last": lambda values: values[-1],
}


def over_draws(m: Metric, values: Sequence[float]) -> float:
    """One value of several that are not parts of one step but ways it may turn out: sums and
    counts are averaged, too, and norms squared."""
    instead = {"sum": "mean", "last": "mean", "norm": "rms"}
    return FOLDS[instead.get(m.fold, m.fold)](values)
