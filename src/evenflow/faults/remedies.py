"""Remedies that several rules share; what only one gives stands in its file.

Sources: the measured figures of the project's theory notes (depth 50, width 128, no skips,
scikit-learn digits, mean of three seeds) and the papers named there.
"""

from ..lang import N_
from .base import Remedy, Unless

BRANCHES = N_(
    "Let each residual branch start at zero (a gain alpha = 0 on it, or zero in its last norm's "
    "weight), or scale it by 1 / sqrt(number of blocks)."
)
SKIPS = Remedy(
    "Add residual connections with a gain that starts at zero (ReZero: x + alpha * f(x), "
    "alpha = 0); measured on a 50-layer net: 94 % to 97 % where the plain net stays at chance.",
    unless=(Unless("skips", BRANCHES),),
    deep=True,
    by=("rezero",),
)
STANDARDISE = Remedy(
    "Standardise each input feature on the training set (subtract the mean, divide by the "
    "standard deviation), or put a BatchNorm layer first.",
    unless=(Unless("scaled"),),
    by=("input=standardise",),
)
CLIP = Remedy(
    "Clip the gradient norm before each update (torch.nn.utils.clip_grad_norm_, 1.0 to begin).",
    by=("clip=",),
)
LOWER_RATE = Remedy(
    "Lower the learning rate: by 10 first, then by 3.",
    by=("lr=x0.",),
)
WARM_UP = Remedy(
    "Warm the learning rate up over the first few hundred steps.",
    by=("warmup",),
)
LOWER_RATE_AND_CLIP = Remedy(
    LOWER_RATE.text,
    then=CLIP.text,
    by=(
        "lr=x0.",
        "clip=",
    ),
)

#: A start that suits the activation; torch's own He and Xavier weights have it.
RIGHT_GAIN = Remedy(
    "Draw weights with the right gain (He for ReLU, Xavier for tanh, centred LSUV if deep).",
    unless=(Unless("he"), Unless("xavier")),
    by=("init=",),
)
ZERO_BIAS = Remedy(
    "Start biases at zero or slightly above.",
    by=("bias=0",),
)
ZERO_BIAS_AND_HE = Remedy(
    "Start biases at zero or slightly above, with He weights.",
    unless=(Unless("he", ZERO_BIAS.text),),
    by=(
        "init=he",
        "bias=0",
    ),
)
FREEZE = Remedy("If they are meant to stay as they are, say so with requires_grad_(False).")
MORE_UNITS = Remedy(
    "Use more hidden units, and try other random weights: a network of few units may start "
    "where nothing moves it."
)
SMOOTH = N_("Use an activation that does not saturate on both sides (ReLU, GELU, SiLU).")

SHORTER = N_(
    "Through time: orthogonal recurrent weights, LayerNorm in the cell, or shorter sequences "
    "(back-propagation truncated after some steps)."
)
_KEEP = N_(
    "Through time: start the bias of the gate that keeps the state at 1 or above (an LSTM's forget "
    "gate, a GRU's update gate), with orthogonal recurrent weights."
)
#: Of whoever recommends a gated cell.
GATED = (Unless("-recurrent"), Unless("gated forget-bias", SHORTER), Unless("gated", _KEEP))
