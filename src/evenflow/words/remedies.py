"""What to do about a finding, best first, in plain text.

Sources: the measured figures of the project's theory notes (depth 50, width 128, no skips,
scikit-learn digits, mean of three seeds) and the papers named there.
"""

from __future__ import annotations

from typing import TypeAlias

from ..lang import N_

SKIPS = N_(
    "Add residual connections with a gain that starts at zero (ReZero: x + alpha * f(x), "
    "alpha = 0); measured on a 50-layer net: 94 % to 97 % where the plain net stays at chance."
)
_CLIP = N_(
    "Clip the gradient norm before each update (torch.nn.utils.clip_grad_norm_, 1.0 to begin)."
)
_LOWER_RATE = N_("Lower the learning rate: by 10 first, then by 3.")
_WARM_UP = N_("Warm the learning rate up over the first few hundred steps.")
STANDARDISE = N_(
    "Standardise each input feature on the training set (subtract the mean, divide by the "
    "standard deviation), or put a BatchNorm layer first."
)

#: A pair is two texts in a row.
Text: TypeAlias = str | tuple[str, str]
ADVICE: dict[str, tuple[Text, ...]] = {
    "EF101": (
        SKIPS,
        N_(
            "Start sigmoid or tanh layers with centred LSUV (orthogonal weights, each unit scaled "
            "and shifted to mean 0, spread 1 on a batch): 95.9 % on the 50-layer sigmoid net."
        ),
        N_(
            "Put BatchNorm before sigmoid or tanh (93.8 %); Xavier initialisation (8.8 %) or "
            "LayerNorm (8.8 %) alone do not save a 50-layer sigmoid net."
        ),
        N_(
            "For ReLU use He or orthogonal initialisation; do not add BatchNorm to a deep plain "
            "ReLU net (12.3 %)."
        ),
        N_(
            "Through time: an LSTM or GRU with forget-gate bias 1, or orthogonal recurrent weights."
        ),
    ),
    "EF102": (
        _CLIP,
        N_(
            "Start with orthogonal, He or Xavier weights of the right gain, so that each layer "
            "passes the gradient on at its size."
        ),
        _LOWER_RATE,
        N_(
            "Add residual connections that start at zero (ReZero) or scale each branch by "
            "1 / sqrt(number of blocks)."
        ),
        N_(
            "Through time: orthogonal recurrent weights, gated cells (LSTM, GRU), "
            "shorter sequences."
        ),
        N_(
            "BatchNorm on a deep plain net makes gradients grow at each layer: take it out or add "
            "skips."
        ),
    ),
    "EF103": (
        N_("Look at the first place named: an input, a log or division near zero, or an overflow."),
        (_LOWER_RATE, _CLIP),
        N_("Under float16 use a GradScaler, or switch to bfloat16."),
        N_(
            "Where the update made it: a larger eps (1e-4 for Adam on float16 weights), or float32 "
            "weights with autocast."
        ),
        N_(
            "Use the fused, stable losses (cross_entropy, binary_cross_entropy_with_logits) on raw "
            "scores; add a small epsilon inside log, sqrt and division."
        ),
    ),
    "EF104": (
        N_(
            "Check that the layer's output reaches the loss: no detach(), no .data, no no_grad() "
            "and no rounding or argmax on the way."
        ),
        N_("Do not start weights that multiply each other at exactly zero."),
        N_(
            "A softmax over a single unit is constant: use one logit with "
            "binary_cross_entropy_with_logits."
        ),
        N_("If the layer is meant to be frozen, say so with requires_grad_(False)."),
    ),
    "EF105": (
        N_("Under float16 use torch.amp.GradScaler, or train in bfloat16 or float32."),
        N_("Scale the loss up by a constant, and keep reductions and the optimizer in float32."),
        N_("If the gradient vanishes with depth as well, mend that first (skips, initialisation)."),
    ),
    "EF201": (
        N_(
            "Start again with smaller weights for this layer (Xavier for tanh, centred LSUV for "
            "deep sigmoid nets)."
        ),
        STANDARDISE,
        _LOWER_RATE,
        N_(
            "Put BatchNorm before the activation, or use one that does not saturate on both sides "
            "(ReLU, GELU, SiLU)."
        ),
    ),
    "EF202": (
        (_LOWER_RATE, _WARM_UP),
        N_("Start biases at zero or slightly above, with He weights."),
        N_("Swap ReLU for LeakyReLU, ELU, GELU or SiLU, so that no unit is ever wholly off."),
        STANDARDISE,
        N_(
            "Revive the dead units: draw their incoming weights anew, set their bias and outgoing "
            "weights to zero, clear their optimizer state."
        ),
    ),
    "EF203": (
        N_(
            "Start again: a paralysed net seldom leaves by itself. Use smaller weights (Xavier, "
            "centred LSUV) and a lower learning rate."
        ),
        STANDARDISE,
        N_(
            "Weight decay (L2) pulls saturated weights back; activations that do not saturate "
            "avoid the state."
        ),
    ),
    "EF204": (
        N_(
            "Normalise queries and keys (QK-norm), or reparametrise their weights by the spectral "
            "norm (sigma-Reparam)."
        ),
        (_WARM_UP, _LOWER_RATE),
        N_("Check that scores are divided by sqrt(d) and that the mask leaves more than one key."),
    ),
    "EF205": (
        N_(
            "Use activations tailored to the depth (LeakyReLU of slope 0.43 with orthogonal "
            "weights for 50 layers: 95.3 %), or skips that start at zero (96.8 %)."
        ),
        N_("For sigmoid and tanh: centred LSUV or BatchNorm, which pull the samples apart again."),
        N_(
            "Check the data: batches whose samples truly differ, no constant "
            "features, centred inputs."
        ),
        N_(
            "He initialisation alone keeps gradients alive in deep ReLU nets but not the "
            "differences between inputs (81.1 % against 96.8 %)."
        ),
    ),
    "EF206": (
        N_(
            "Add normalisation (LayerNorm before each block) or scale each branch "
            "of a residual net."
        ),
        (_LOWER_RATE, _CLIP),
        N_("Add weight decay."),
    ),
    "EF301": (
        N_(
            "If learning is done there, nothing; else raise the learning rate for this layer (its "
            "own parameter group)."
        ),
        N_("Mend what starves it: a vanishing gradient, saturation or dead units further on."),
        N_("Adam or RMSprop scale each layer's updates by its own gradients."),
    ),
    "EF302": (
        _LOWER_RATE,
        _WARM_UP,
        _CLIP,
        N_("Give this layer its own, lower learning rate."),
    ),
    "EF401": (
        N_("Mend the cause first if one is named; a flat loss is mostly a symptom."),
        N_("Try learning rates 10 times higher and 10 times lower for a few hundred steps each."),
        N_(
            "Check that inputs and targets belong together: a net that cannot overfit 20 samples "
            "has a fault in the set-up."
        ),
        N_("Check that optimizer.step() is called and that the optimizer holds these parameters."),
    ),
    "EF402": (
        _LOWER_RATE,
        _CLIP,
        _WARM_UP,
        N_("Look at the batch at that step: outliers or wrong labels cause single spikes."),
    ),
    "EF403": (
        N_("Lower the learning rate by 2 to 10: the steps overshoot the valley."),
        N_("Lower the momentum, or use a larger batch if batches disagree."),
        N_("Decay the learning rate over time (cosine or step schedule)."),
    ),
    "EF404": (
        N_("Raise the learning rate: by 10 first, then by 3, until the loss falls well."),
        N_("Add momentum 0.9, or use Adam."),
        N_("Standardise inputs: badly scaled features force small learning rates."),
    ),
    "EF501": (
        STANDARDISE,
        N_(
            "Images: divide by 255, then subtract the mean and divide by the standard deviation of "
            "each channel."
        ),
        N_("Positive features that span decades: take the logarithm first."),
    ),
    "EF502": (
        N_(
            "Look at the rows with the outliers: wrong units and sentinel values (-999, 1e9) "
            "should be removed or imputed."
        ),
        N_("Scale by median and interquartile range, and clip to about 10 robust deviations."),
        N_("Take the logarithm of heavy-tailed features."),
    ),
    "EF503": (
        N_(
            "Find and impute or drop missing values before training "
            "(torch.isfinite(x).all() on each batch)."
        ),
        N_("Check divisions by a standard deviation of zero in the preprocessing."),
    ),
    "EF504": (
        N_("Standardise the target on the training set and undo it on predictions."),
        N_(
            "Or start the last layer's bias at the target's mean, and scale its output by the "
            "target's standard deviation."
        ),
        N_("Positive targets that span decades: predict the logarithm."),
    ),
    "EF701": (
        N_("Give cross_entropy the raw scores (logits): it applies log_softmax itself."),
        N_("Give nll_loss the output of log_softmax, and binary_cross_entropy a sigmoid's output."),
        N_("Use binary_cross_entropy_with_logits on raw scores instead of a sigmoid of your own."),
        N_("Take the activation off the last layer."),
    ),
    "EF702": (
        N_(
            "Put an activation (ReLU, GELU, tanh) between the layers named; without one they act "
            "as a single linear layer."
        ),
        N_(
            "If the factorisation is meant (a low-rank layer), make the middle narrower than both "
            "sides, or ignore this code."
        ),
    ),
    "EF703": (
        _LOWER_RATE,
        _WARM_UP,
        _CLIP,
        N_("Standardise inputs and targets: large ones make the same rate too high."),
    ),
    "EF704": (N_("If they are meant to stay as they are, say so with requires_grad_(False)."),),
    "EF802": (
        N_("Call optimizer.step() after each loss.backward(), and scheduler.step() after that."),
    ),
    "EF807": (N_("If they are meant to stay as they are, say so with requires_grad_(False)."),),
    "EF803": (
        N_("Give both the same shape: pred.squeeze(1), or y.unsqueeze(1)."),
        N_("Assert pred.shape == y.shape before the loss: torch only warns."),
    ),
    "EF806": (N_("Let a normalisation take its mean and variance over 16 values or more."),),
    "EF601": (
        N_(
            "Draw weights with the right gain (He for ReLU, Xavier for tanh, centred LSUV if deep)."
        ),
    ),
    "EF602": (
        N_(
            "Draw weights with the right gain (He for ReLU, Xavier for tanh, centred LSUV if deep)."
        ),
        N_("Standardise inputs: large ones act like large weights."),
    ),
    "EF603": (N_("Start biases at zero or slightly above, with He weights."), STANDARDISE),
    "EF604": (SKIPS, N_("Use activations tailored to the depth (TAT) with orthogonal weights.")),
    "EF605": (N_("Draw weights at random: units that start alike stay alike."),),
}

#: What comes first when the cause is known and lies outside the code itself.
BY_CAUSE: dict[str, Text] = {
    "learning-rate-too-high": _LOWER_RATE,
    "EF703": _LOWER_RATE,
    "learning-rate-too-low": N_("Raise the learning rate: by 10 first, then by 3."),
    "learning-rate-decayed": N_(
        "Check the schedule: a decay meant for epochs may be applied at "
        "every batch; let the rate fall over the whole run."
    ),
    "learning-rate-zero": N_("Set a learning rate above zero, and check the scheduler."),
    "unscaled-input": STANDARDISE,
    "EF501": STANDARDISE,
    "outlier-input": ADVICE["EF502"][1],
    "EF502": ADVICE["EF502"][1],
    "non-finite-input": ADVICE["EF503"][0],
    "EF503": ADVICE["EF503"][0],
    "unscaled-target": ADVICE["EF504"][0],
    "EF504": ADVICE["EF504"][0],
    "double-softmax": ADVICE["EF701"][0],
    "EF701": ADVICE["EF701"][0],
    "missing-nonlinearity": ADVICE["EF702"][0],
    "missing-non-linearity": ADVICE["EF702"][0],
    "EF702": ADVICE["EF702"][0],
    "EF704": N_("First get every parameter into the optimizer (EF704)."),
    "EF807": N_("First mend the cut way to the loss (EF807)."),
    "EF802": ADVICE["EF802"][0],
    "in-no-optimizer": (
        N_(
            "Give the optimizer all parameters (model.parameters()), after the last layer is built."
        ),
        N_("Keep sub-modules in nn.ModuleList or nn.ModuleDict, not in a plain list or dict."),
    ),
    "made-anew": N_(
        "Build the layer once, in __init__, and only call it in forward: one that is made in "
        "forward starts at random at every step and is thrown away."
    ),
    "cut-off": N_(
        "Follow the layer's output to the loss and take away the detach(), .data, no_grad() or "
        "argmax between them; in place of argmax use a softmax or a straight-through estimate."
    ),
    "never-called": N_("Call the layer in forward, or take it out of the model."),
    "all-skipped": N_(
        "Find what makes gradients NaN or Inf (a loss that overflows in half precision, a log or a "
        "division of 0); a GradScaler that only starts too high finds its scale in a few steps."
    ),
    "gradients-cleared": N_(
        "Call zero_grad() before the backward pass or after the step, never between them."
    ),
    "EF803": ADVICE["EF803"][0],
    "EF806": ADVICE["EF806"][0],
    "small-batch": (
        N_("Put LayerNorm or GroupNorm in place of the batch norm, or use batches of 16 or more."),
        N_(
            "Batch norms that came trained: freeze them (norm.eval() after each model.train()); "
            "accumulating gradients does not help, as the norm sees one small batch at a time."
        ),
    ),
    "small-groups": N_(
        "Normalise over more: fewer groups in GroupNorm (4 values or more in each), or no norm "
        "over an axis of length 1 or 2."
    ),
    "zero-init": N_("Draw weights at random instead of zero; biases may start at zero."),
    "negative-bias": N_("Start biases at zero or slightly above."),
    "weights-too-small": ADVICE["EF601"][0],
    "EF601": ADVICE["EF601"][0],
    "weights-too-large": N_(
        "Draw smaller weights: draw weights with the right gain (He for ReLU, Xavier for tanh, "
        "centred LSUV if deep)."
    ),
    "EF602": ADVICE["EF602"][0],
    "depth-times-activation": SKIPS,
    "EF604": SKIPS,
    "dtype": ADVICE["EF105"][0],
    "low-precision": ADVICE["EF105"][0],
    "EF105": ADVICE["EF105"][0],
    "recurrence": N_("Use an LSTM or GRU (forget-gate bias 1), or orthogonal recurrent weights."),
    "through-time": N_("Use an LSTM or GRU (forget-gate bias 1), or orthogonal recurrent weights."),
}
