"""What to do about a finding, best first, in plain text.

Sources: the measured figures of the project's theory notes (depth 50, width 128, no skips,
scikit-learn digits, mean of three seeds) and the papers named there.
"""

from __future__ import annotations

from ..schema import Finding

_SKIPS = (
    "Add residual connections with a gain that starts at zero (ReZero: x + alpha * f(x), "
    "alpha = 0); measured on a 50-layer net: 94 % to 97 % where the plain net stays at chance."
)
_CLIP = "Clip the gradient norm before each update (torch.nn.utils.clip_grad_norm_, 1.0 to begin)."
_LOWER_RATE = "Lower the learning rate: by 10 first, then by 3."
_WARM_UP = "Warm the learning rate up over the first few hundred steps."
_STANDARDISE = (
    "Standardise each input feature on the training set (subtract the mean, divide by the "
    "standard deviation), or put a BatchNorm layer first."
)

_ADVICE: dict[str, tuple[str, ...]] = {
    "EF101": (
        _SKIPS,
        "Start sigmoid or tanh layers with centred LSUV (orthogonal weights, each unit scaled and "
        "shifted to mean 0, spread 1 on a batch): 95.9 % on the 50-layer sigmoid net.",
        "Put BatchNorm before sigmoid or tanh (93.8 %); Xavier initialisation (8.8 %) or LayerNorm "
        "(8.8 %) alone do not save a 50-layer sigmoid net.",
        "For ReLU use He or orthogonal initialisation; do not add BatchNorm to a deep plain ReLU "
        "net (12.3 %).",
        "Through time: an LSTM or GRU with forget-gate bias 1, or orthogonal recurrent weights.",
    ),
    "EF102": (
        _CLIP,
        "Start with orthogonal, He or Xavier weights of the right gain, so that each layer "
        "passes the gradient on at its size.",
        _LOWER_RATE,
        "Add residual connections that start at zero (ReZero) or scale each branch by "
        "1 / sqrt(number of blocks).",
        "Through time: orthogonal recurrent weights, gated cells (LSTM, GRU), shorter sequences.",
        "BatchNorm on a deep plain net makes gradients grow at each layer: take it out or add "
        "skips.",
    ),
    "EF103": (
        "Look at the first place named: an input, a log or division near zero, or an overflow.",
        _LOWER_RATE + " " + _CLIP,
        "Under float16 use a GradScaler, or switch to bfloat16.",
        "Use the fused, stable losses (cross_entropy, binary_cross_entropy_with_logits) on raw "
        "scores; add a small epsilon inside log, sqrt and division.",
    ),
    "EF104": (
        "Check that the layer's output reaches the loss: no detach(), no .data, no no_grad() and "
        "no rounding or argmax on the way.",
        "Do not start weights that multiply each other at exactly zero.",
        "A softmax over a single unit is constant: use one logit with "
        "binary_cross_entropy_with_logits.",
        "If the layer is meant to be frozen, say so with requires_grad_(False).",
    ),
    "EF105": (
        "Under float16 use torch.amp.GradScaler, or train in bfloat16 or float32.",
        "Scale the loss up by a constant, and keep reductions and the optimizer in float32.",
        "If the gradient vanishes with depth as well, mend that first (skips, initialisation).",
    ),
    "EF201": (
        "Start again with smaller weights for this layer (Xavier for tanh, centred LSUV for deep "
        "sigmoid nets).",
        _STANDARDISE,
        _LOWER_RATE,
        "Put BatchNorm before the activation, or use one that does not saturate on both sides "
        "(ReLU, GELU, SiLU).",
    ),
    "EF202": (
        _LOWER_RATE + " " + _WARM_UP,
        "Start biases at zero or slightly above, with He weights.",
        "Swap ReLU for LeakyReLU, ELU, GELU or SiLU, so that no unit is ever wholly off.",
        _STANDARDISE,
        "Revive the dead units: draw their incoming weights anew, set their bias and outgoing "
        "weights to zero, clear their optimizer state.",
    ),
    "EF203": (
        "Start again: a paralysed net seldom leaves by itself. Use smaller weights (Xavier, "
        "centred LSUV) and a lower learning rate.",
        _STANDARDISE,
        "Weight decay (L2) pulls saturated weights back; activations that do not saturate "
        "avoid the state.",
    ),
    "EF204": (
        "Normalise queries and keys (QK-norm), or reparametrise their weights by the spectral "
        "norm (sigma-Reparam).",
        _WARM_UP + " " + _LOWER_RATE,
        "Check that scores are divided by sqrt(d) and that the mask leaves more than one key.",
    ),
    "EF205": (
        "Use activations tailored to the depth (LeakyReLU of slope 0.43 with orthogonal weights "
        "for 50 layers: 95.3 %), or skips that start at zero (96.8 %).",
        "For sigmoid and tanh: centred LSUV or BatchNorm, which pull the samples apart again.",
        "Check the data: batches whose samples truly differ, no constant features, centred inputs.",
        "He initialisation alone keeps gradients alive in deep ReLU nets but not the "
        "differences between inputs (81.1 % against 96.8 %).",
    ),
    "EF206": (
        "Add normalisation (LayerNorm before each block) or scale each branch of a residual net.",
        _LOWER_RATE + " " + _CLIP,
        "Add weight decay.",
    ),
    "EF301": (
        "If learning is done there, nothing; else raise the learning rate for this layer (its own "
        "parameter group).",
        "Mend what starves it: a vanishing gradient, saturation or dead units further on.",
        "Adam or RMSprop scale each layer's updates by its own gradients.",
    ),
    "EF302": (
        _LOWER_RATE,
        _WARM_UP,
        _CLIP,
        "Give this layer its own, lower learning rate.",
    ),
    "EF401": (
        "Mend the cause first if one is named; a flat loss is mostly a symptom.",
        "Try learning rates 10 times higher and 10 times lower for a few hundred steps each.",
        "Check that inputs and targets belong together: a net that cannot overfit 20 samples has "
        "a fault in the set-up.",
        "Check that optimizer.step() is called and that the optimizer holds these parameters.",
    ),
    "EF402": (
        _LOWER_RATE,
        _CLIP,
        _WARM_UP,
        "Look at the batch at that step: outliers or wrong labels cause single spikes.",
    ),
    "EF403": (
        "Lower the learning rate by 2 to 10: the steps overshoot the valley.",
        "Lower the momentum, or use a larger batch if batches disagree.",
        "Decay the learning rate over time (cosine or step schedule).",
    ),
    "EF404": (
        "Raise the learning rate: by 10 first, then by 3, until the loss falls well.",
        "Add momentum 0.9, or use Adam.",
        "Standardise inputs: badly scaled features force small learning rates.",
    ),
    "EF501": (
        _STANDARDISE,
        "Images: divide by 255, then subtract the mean and divide by the standard deviation of "
        "each channel.",
        "Positive features that span decades: take the logarithm first.",
    ),
    "EF502": (
        "Look at the rows with the outliers: wrong units and sentinel values (-999, 1e9) should "
        "be removed or imputed.",
        "Scale by median and interquartile range, and clip to about 10 robust deviations.",
        "Take the logarithm of heavy-tailed features.",
    ),
    "EF503": (
        "Find and impute or drop missing values before training "
        "(torch.isfinite(x).all() on each batch).",
        "Check divisions by a standard deviation of zero in the preprocessing.",
    ),
    "EF504": (
        "Standardise the target on the training set and undo it on predictions.",
        "Or start the last layer's bias at the target's mean, and scale its output by the "
        "target's standard deviation.",
        "Positive targets that span decades: predict the logarithm.",
    ),
    "EF701": (
        "Give cross_entropy the raw scores (logits): it applies log_softmax itself.",
        "Give nll_loss the output of log_softmax, and binary_cross_entropy a sigmoid's output.",
        "Use binary_cross_entropy_with_logits on raw scores instead of a sigmoid of your own.",
        "Take the activation off the last layer.",
    ),
    "EF702": (
        "Put an activation (ReLU, GELU, tanh) between the layers named; without one they act as "
        "a single linear layer.",
        "If the factorisation is meant (a low-rank layer), make the middle narrower than both "
        "sides, or ignore this code.",
    ),
    "EF703": (
        _LOWER_RATE,
        _WARM_UP,
        _CLIP,
        "Standardise inputs and targets: large ones make the same rate too high.",
    ),
    "EF704": (
        "Give the optimizer all parameters (model.parameters()), after the last layer is built.",
        "Keep sub-modules in nn.ModuleList or nn.ModuleDict, not in a plain list or dict.",
        "If they are meant to stay as they are, say so with requires_grad_(False).",
    ),
    "EF601": (
        "Draw weights with the right gain (He for ReLU, Xavier for tanh, centred LSUV if deep).",
    ),
    "EF602": (
        "Draw weights with the right gain (He for ReLU, Xavier for tanh, centred LSUV if deep).",
        "Standardise inputs: large ones act like large weights.",
    ),
    "EF603": ("Start biases at zero or slightly above, with He weights.", _STANDARDISE),
    "EF604": (_SKIPS, "Use activations tailored to the depth (TAT) with orthogonal weights."),
    "EF605": ("Draw weights at random: units that start alike stay alike.",),
}

#: What comes first when the cause is known and lies outside the code itself.
_BY_CAUSE: dict[str, str] = {
    "learning-rate-too-high": _LOWER_RATE,
    "EF703": _LOWER_RATE,
    "learning-rate-too-low": "Raise the learning rate: by 10 first, then by 3.",
    "learning-rate-decayed": "Check the schedule: a decay meant for epochs may be applied at "
    "every batch; let the rate fall over the whole run.",
    "learning-rate-zero": "Set a learning rate above zero, and check the scheduler.",
    "unscaled-input": _STANDARDISE,
    "EF501": _STANDARDISE,
    "outlier-input": _ADVICE["EF502"][1],
    "EF502": _ADVICE["EF502"][1],
    "non-finite-input": _ADVICE["EF503"][0],
    "EF503": _ADVICE["EF503"][0],
    "unscaled-target": _ADVICE["EF504"][0],
    "EF504": _ADVICE["EF504"][0],
    "double-softmax": _ADVICE["EF701"][0],
    "EF701": _ADVICE["EF701"][0],
    "missing-nonlinearity": _ADVICE["EF702"][0],
    "missing-non-linearity": _ADVICE["EF702"][0],
    "EF702": _ADVICE["EF702"][0],
    "EF704": _ADVICE["EF704"][0],
    "zero-init": "Draw weights at random instead of zero; biases may start at zero.",
    "negative-bias": "Start biases at zero or slightly above.",
    "weights-too-small": _ADVICE["EF601"][0],
    "EF601": _ADVICE["EF601"][0],
    "weights-too-large": "Draw smaller weights: "
    + _ADVICE["EF602"][0][0].lower()
    + _ADVICE["EF602"][0][1:],
    "EF602": _ADVICE["EF602"][0],
    "depth-times-activation": _SKIPS,
    "EF604": _SKIPS,
    "dtype": _ADVICE["EF105"][0],
    "low-precision": _ADVICE["EF105"][0],
    "EF105": _ADVICE["EF105"][0],
    "recurrence": "Use an LSTM or GRU (forget-gate bias 1), or orthogonal recurrent weights.",
    "through-time": "Use an LSTM or GRU (forget-gate bias 1), or orthogonal recurrent weights.",
}


def advice(finding: Finding) -> list[str]:
    """What to do, best first; what mends the cause stands before what eases the symptom.

    An unknown code (a newer run file) gives the advice of its cause, or none.
    """
    first = [_BY_CAUSE[finding.cause]] if finding.cause in _BY_CAUSE else []
    rest = _ADVICE.get(finding.code, ())
    return first + [text for text in rest if text not in first]
