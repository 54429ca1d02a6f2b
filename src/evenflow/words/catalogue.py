"""What each code and each cause is called."""

from __future__ import annotations

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
}

#: A headline for every code.
TITLES: dict[str, str] = {
    "EF101": "Vanishing gradient",
    "EF102": "Exploding gradient",
    "EF103": "NaN or infinity",
    "EF104": "Gradient exactly zero",
    "EF105": "Gradient lost to low precision",
    "EF201": "Saturated activation",
    "EF202": "Dead units",
    "EF203": "Paralysed network",
    "EF204": "Attention collapse",
    "EF205": "All inputs look alike",
    "EF206": "Activations grow",
    "EF301": "Layer has stalled",
    "EF302": "Oversized update",
    "EF401": "Loss is stuck",
    "EF402": "Loss diverges or spikes",
    "EF403": "Loss swings to and fro",
    "EF404": "Learning is too slow",
    "EF501": "Unscaled input",
    "EF502": "Outliers in the input",
    "EF503": "NaN or infinity in the data",
    "EF504": "Unscaled target",
    "EF601": "Weights too small at the start",
    "EF602": "Weights too large at the start",
    "EF603": "Units dead at birth",
    "EF604": "Too deep for its initialisation",
    "EF605": "Units start alike",
    "EF701": "Output and loss do not fit",
    "EF702": "No non-linearity between layers",
    "EF703": "Learning rate too high",
    "EF704": "Parameters are not trained",
}

#: Causes in words, as the end of "because of ..." or the head of a chain.
CAUSES: dict[str, str] = {
    "depth-times-activation": "each layer's activation passes on only part of the gradient, "
    "and depth multiplies that",
    "depth-times-weights": "each layer multiplies the gradient by a factor away from 1, "
    "and depth multiplies that",
    "weights-too-small": "weights too small at the start",
    "weights-too-large": "weights too large at the start",
    "learning-rate-too-high": "learning rate too high",
    "learning-rate-too-low": "learning rate too low",
    "learning-rate-decayed": "a schedule that took the learning rate to nothing",
    "learning-rate-zero": "learning rate of zero",
    "unscaled-input": "unscaled input",
    "outlier-input": "outliers in the input",
    "non-finite-input": "NaN or infinity in the data",
    "unscaled-target": "unscaled target",
    "negative-bias": "strongly negative biases",
    "missing-nonlinearity": "no non-linearity between layers",
    "missing-non-linearity": "no non-linearity between layers",
    "double-softmax": "output and loss that do not fit each other",
    "wrong-loss": "output and loss that do not fit each other",
    "loss-mismatch": "output and loss that do not fit each other",
    "zero-init": "weights that start at exactly zero",
    "symmetric-weights": "units that start alike",
    "disconnected": "no path from the loss to the layer",
    "dtype": "too few bits in the number format",
    "low-precision": "too few bits in the number format",
    "recurrence": "the same weights applied over and over through time",
    "through-time": "the same weights applied over and over through time",
    "weight-decay": "weight decay that outweighs learning",
    "saturation": "saturated activations",
    "dead-units": "dead units",
    "vanishing-gradient": "vanishing gradient",
    "exploding-gradient": "exploding gradient",
}


def title(code: str) -> str:
    """Headline of a code; the code itself where it is not known (a newer run file)."""
    return TITLES.get(code, code)


def cause(what: str) -> str:
    """A code or a kebab-case cause in words; "" stays ""."""
    if what in TITLES:
        name = NAMES[what]
        return CAUSES.get(name) or _lower(TITLES[what])
    return CAUSES.get(what, what.replace("-", " "))


def _lower(headline: str) -> str:
    """Headline inside a sentence; "NaN" keeps its capitals."""
    return headline if headline.startswith("NaN") else headline[0].lower() + headline[1:]
