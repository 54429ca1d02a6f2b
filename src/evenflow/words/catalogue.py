"""What each code and each cause is called."""

from __future__ import annotations

from ..lang import N_, _

#: Kebab-case name of every code, as in `Finding.name`.
NAMES: dict[str, str] = {
    "EF101": "vanishing-gradient",
    "EF102": "exploding-gradient",
    "EF103": "non-finite",
    "EF104": "zero-gradient",
    "EF105": "low-precision-underflow",
    "EF201": "saturated-activation",
    "EF202": "dead-units",
    "EF203": "paralysed-network",
    "EF204": "attention-collapse",
    "EF205": "signal-collapse",
    "EF206": "activation-growth",
    "EF301": "stalled-layer",
    "EF302": "oversized-update",
    "EF401": "plateau",
    "EF402": "divergence-or-spike",
    "EF403": "oscillation",
    "EF404": "slow-learning",
    "EF501": "unscaled-input",
    "EF502": "outlier-input",
    "EF503": "non-finite-input",
    "EF504": "unscaled-target",
    "EF601": "weights-too-small",
    "EF602": "weights-too-large",
    "EF603": "dead-at-birth",
    "EF604": "too-deep-for-its-init",
    "EF605": "symmetric-weights",
    "EF701": "double-softmax",
    "EF702": "missing-nonlinearity",
    "EF703": "learning-rate-too-high",
    "EF704": "parameter-not-trained",
    "EF802": "no-update",
    "EF803": "broadcast-loss",
    "EF806": "tiny-norm-batch",
    "EF807": "out-of-reach",
}

#: A headline for every code.
TITLES: dict[str, str] = {
    "EF101": N_("Vanishing gradient"),
    "EF102": N_("Exploding gradient"),
    "EF103": N_("NaN or infinity"),
    "EF104": N_("Gradient exactly zero"),
    "EF105": N_("Gradient lost to low precision"),
    "EF201": N_("Saturated activation"),
    "EF202": N_("Dead units"),
    "EF203": N_("Paralysed network"),
    "EF204": N_("Attention collapse"),
    "EF205": N_("All inputs look alike"),
    "EF206": N_("Activations grow"),
    "EF301": N_("Layer has stalled"),
    "EF302": N_("Oversized update"),
    "EF401": N_("Loss is stuck"),
    "EF402": N_("Loss diverges or spikes"),
    "EF403": N_("Loss swings to and fro"),
    "EF404": N_("Learning is too slow"),
    "EF501": N_("Unscaled input"),
    "EF502": N_("Outliers in the input"),
    "EF503": N_("NaN or infinity in the data"),
    "EF504": N_("Unscaled target"),
    "EF601": N_("Weights too small at the start"),
    "EF602": N_("Weights too large at the start"),
    "EF603": N_("Units dead at birth"),
    "EF604": N_("Too deep for its initialisation"),
    "EF605": N_("Units start alike"),
    "EF701": N_("Output and loss do not fit"),
    "EF702": N_("No non-linearity between layers"),
    "EF703": N_("Learning rate too high"),
    "EF704": N_("Parameters are not trained"),
    "EF802": N_("Nothing is updated"),
    "EF806": N_("Normalised over too few values"),
    "EF807": N_("No gradient reaches parameters"),
    "EF803": N_("Loss over a table of all pairs"),
}

#: Causes in words, as the end of "because of ..." or the head of a chain.
CAUSES: dict[str, str] = {
    "depth-times-activation": N_(
        "each layer's activation passes on only part of the gradient, and depth multiplies that"
    ),
    "depth-times-weights": N_(
        "each layer multiplies the gradient by a factor away from 1, and depth multiplies that"
    ),
    "weights-too-small": N_("weights too small at the start"),
    "weights-too-large": N_("weights too large at the start"),
    "learning-rate-too-high": N_("learning rate too high"),
    "learning-rate-too-low": N_("learning rate too low"),
    "learning-rate-decayed": N_("a schedule that took the learning rate to nothing"),
    "learning-rate-zero": N_("learning rate of zero"),
    "no-step": N_("an optimizer is there, and its step() is never called"),
    "all-skipped": N_("every update was skipped, as its gradients were NaN or Inf"),
    "gradients-cleared": N_("gradients are cleared between the backward pass and the step"),
    "in-no-optimizer": N_("they are in no optimizer"),
    "made-anew": N_("the layer is made anew in every forward pass"),
    "cut-off": N_("the way from them to the loss is cut (detach, no_grad, argmax)"),
    "never-called": N_("nothing in the forward pass reads them"),
    "small-batch": N_("batches too small for a batch norm"),
    "small-groups": N_("a norm within each sample whose groups hold next to nothing"),
    "unscaled-input": N_("unscaled input"),
    "outlier-input": N_("outliers in the input"),
    "non-finite-input": N_("NaN or infinity in the data"),
    "operation": N_("the operation itself: its inputs were finite"),
    "origin-unknown": N_(
        "not known, as it arose between two sampled steps; on_nonfinite='report' "
        "(evenflow run --on-nonfinite report) finds the operation"
    ),
    "non-finite-slope": N_(
        "its derivative, infinite or not defined there (the output is finite, or a mask hides it)"
    ),
    "non-finite-update": N_(
        "the update itself, of finite weights and gradients: look at the optimizer's epsilon and "
        "rate in this number format"
    ),
    "non-finite-loss": N_("what is worked out of the model's output, which was finite"),
    "weights-not-finite": N_("weights that were not finite before the first update"),
    "unscaled-target": N_("unscaled target"),
    "negative-bias": N_("strongly negative biases"),
    "missing-nonlinearity": N_("no non-linearity between layers"),
    "missing-non-linearity": N_("no non-linearity between layers"),
    "double-softmax": N_("output and loss that do not fit each other"),
    "wrong-loss": N_("output and loss that do not fit each other"),
    "loss-mismatch": N_("output and loss that do not fit each other"),
    "zero-init": N_("weights that start at exactly zero"),
    "symmetric-weights": N_("units that start alike"),
    "disconnected": N_("no path from the loss to the layer"),
    "dtype": N_("too few bits in the number format"),
    "low-precision": N_("too few bits in the number format"),
    "recurrence": N_("the same weights applied over and over through time"),
    "through-time": N_("the same weights applied over and over through time"),
    "weight-decay": N_("weight decay that outweighs learning"),
    "saturation": N_("saturated activations"),
    "dead-units": N_("dead units"),
    "vanishing-gradient": N_("vanishing gradient"),
    "exploding-gradient": N_("exploding gradient"),
    # end states
    "frozen": N_("frozen"),
    "dead": N_("dead"),
    "non-finite": N_("not finite"),
}


def title(code: str) -> str:
    """Headline of a code; the code itself where it is not known (a newer run file)."""
    return _(TITLES[code]) if code in TITLES else code


def cause(what: str) -> str:
    """A code or a kebab-case cause in words; "" stays ""."""
    if what in TITLES:
        name = NAMES[what]
        return _(CAUSES[name]) if name in CAUSES else _lower(_(TITLES[what]))
    return _(CAUSES[what]) if what in CAUSES else what.replace("-", " ")


def _lower(headline: str) -> str:
    """Headline inside a sentence; "NaN" keeps its capitals."""
    return headline if headline.startswith("NaN") else headline[0].lower() + headline[1:]
