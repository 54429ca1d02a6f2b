"""All of back-propagation in one file. It is for reading, not for work: train with PyTorch.

Read it from top to bottom; `docs/miniature.md` sets each part beside its formula. The letters:

    x    input, a sample a column [n_0, B]       z_l = W_l a_{l-1} + b_l
    t    target, a sample a column [n_L, B]      a_0 = x,  a_l = f_l(z_l),  y = a_L
    W_l  weights [n_l, n_{l-1}], b_l [n_l]       E   error, the mean over the B samples
    η    learning rate,  α  momentum             δ_l = ∂E/∂z_l, the layer error [n_l, B]

All is float64. Lists run from layer 1 to L, but `Forward.a` begins with a_0.
Source: Rumelhart, Hinton & Williams, Nature 323 (1986) 533-536.

>>> import numpy as np, evenflow.miniature as m
>>> m.backpropagate([m.Layer(np.array([[2.]]), np.array([1.]))], np.array([[3.]]), np.array([[5.]]))
(2.0, [Gradient(W=array([[6.]]), b=array([2.]))])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy import exp, expm1, log, logaddexp, maximum, minimum, tanh, where

Floats = npt.NDArray[np.float64]
Function = Callable[[Any], Any]  # elementwise, [n, B] -> [n, B]

# -- activations: f(z) and its slope f'(z) ------------------------------------------------------


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + e^-z), written so that nothing overflows and the far left keeps its digits."""
    return exp(-logaddexp(0, -z))


def softplus(z: Floats) -> Floats:
    """log(1 + e^z)."""
    return logaddexp(0, z)


def normal(z: Floats) -> tuple[Floats, Floats]:
    """The normal distribution's probability Φ(z) and density φ(z)."""
    erf = np.vectorize(math.erf, otypes=[float])
    return (1 + erf(z / math.sqrt(2))) / 2, exp(-z * z / 2) / math.sqrt(2 * math.pi)


def sech2(z: Floats) -> Floats:
    """tanh's slope, 4 / (e^z + e^-z)²: 1 - tanh² has lost all its digits at |z| = 20."""
    small: Floats = exp(-2 * abs(z))
    return 4 * small / (1 + small) ** 2


S, A = 1.0507009873554805, 1.6732632423543772  # SELU: Klambauer et al. 2017, eq. 14

ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (tanh, sech2),
    "relu": (lambda z: maximum(z, 0), lambda z: where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: where(z > 0, z, 0.01 * z), lambda z: where(z > 0, 1.0, 0.01)),
    "elu": (lambda z: where(z > 0, z, expm1(minimum(z, 0))), lambda z: exp(minimum(z, 0))),
    "selu": (lambda z: S * where(z > 0, z, A * expm1(minimum(z, 0))),
             lambda z: S * where(z > 0, 1, A * exp(minimum(z, 0)))),
    "softplus": (softplus, sigmoid),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "hardtanh": (lambda z: np.clip(z, -1, 1), lambda z: where(abs(z) < 1, 1.0, 0.0)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "gelu": (lambda z: z * normal(z)[0], lambda z: normal(z)[0] + z * normal(z)[1]),
    "mish": (lambda z: z * tanh(softplus(z)),
             lambda z: tanh(softplus(z)) + z * sigmoid(z) * sech2(softplus(z))),
}  # fmt: skip

#: Activations with a number to choose: what it is called, and f and f' for it.
FAMILIES: dict[str, tuple[str, Callable[[float], tuple[Function, Function]]]] = {
    "sigmoid": ("slope", lambda k: (lambda z: sigmoid(k * z),
                                    lambda z: k * sigmoid(k * z) * sigmoid(-k * z))),
    "leaky_relu": ("slope", lambda k: (lambda z: where(z > 0, z, k * z),
                                       lambda z: where(z > 0, 1.0, k))),
    "elu": ("alpha", lambda k: (lambda z: where(z > 0, z, k * expm1(minimum(z, 0))),
                                lambda z: where(z > 0, 1.0, k * exp(minimum(z, 0))))),
    "swish": ("beta", lambda k: (lambda z: z * sigmoid(k * z),
                                 lambda z: sigmoid(k * z) * (1 + k * z * sigmoid(-k * z)))),
}  # fmt: skip
FAMILIES["prelu"] = FAMILIES["leaky_relu"]  # learns its slope; a forward pass has it as a number


def activation(name: str) -> tuple[Function, Function]:
    """f and f', by a name in ACTIVATIONS or as one of FAMILIES: "swish(beta=2)", "elu(0.5)".

    Raises ValueError for another name, or a number that is none.

    >>> from evenflow.miniature import activation
    >>> float(activation("sigmoid(slope=2)")[1](0.0))  # a quarter of the slope
    0.5
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    head, _, inside = name.rstrip(")").partition("(")
    label, family = FAMILIES.get(head, ("", None))
    try:
        if family is not None:
            return family(float(inside.removeprefix(f"{label}=")))
    except ValueError:
        pass
    told = [f"{each}({key}=...)" for each, (key, _) in FAMILIES.items()]
    raise ValueError(f"no activation {name!r}; there are {', '.join([*ACTIVATIONS, *told])}")


# -- layers in matrix form, and the forward pass ------------------------------------------------


class Layer(NamedTuple):
    """One layer, a = f(W a_before + b); W [n_out, n_in] and b [n_out] as in `torch.nn.Linear`."""

    W: Floats
    b: Floats
    f: str = "identity"  # as `activation` takes it


class Forward(NamedTuple):
    """What the way back needs: z = [z_1 .. z_L], a = [a_0 .. a_L], each [n_l, B]."""

    z: list[Floats]
    a: list[Floats]


def network(sizes: Sequence[int], f: Sequence[str], rng: np.random.Generator) -> list[Layer]:
    """Layers of sizes n_0 .. n_L with activations f_1 .. f_L, uniform in ±1/√n_in.

    Raises ValueError where there is not one activation a layer, or one is unknown.
    """
    if len(f) != len(sizes) - 1:
        raise ValueError(f"{len(sizes)} sizes make {len(sizes) - 1} layers, not {len(f)}")
    layers = []
    for n_in, n_out, name in zip(sizes, sizes[1:], f, strict=False):
        activation(name)
        r = 1 / math.sqrt(n_in)
        layers.append(Layer(rng.uniform(-r, r, (n_out, n_in)), rng.uniform(-r, r, n_out), name))
    return layers


def fits(layers: Sequence[Layer], x: Floats, t: Floats) -> None:
    """ValueError, with the sizes that do not meet, unless the network takes x and answers as t."""
    size, what = len(x), "x has"
    for k, layer in enumerate(layers, 1):
        out = len(layer.W)
        if layer.W.ndim != 2 or layer.W.shape[1] != size:
            raise ValueError(
                f"W_{k} is {'×'.join(map(str, layer.W.shape))}, but {what} {size} rows"
            )
        if layer.b.shape != (out,):
            raise ValueError(f"b_{k} has {layer.b.size} numbers, but W_{k} has {out} rows")
        size, what = out, f"layer {k} gives"
    if len(t) != size:
        raise ValueError(f"t has {len(t)} rows, but {what} {size}")
    if x.shape[1:] != t.shape[1:] or x.ndim != 2:
        raise ValueError(f"x has {x.shape[1:]} samples and t {t.shape[1:]}: a sample is a column")


def forward(layers: Iterable[Layer], x: Floats) -> Forward:
    """z_l = W_l a_{l-1} + b_l and a_l = f_l(z_l), layer after layer."""
    z, a = [], [x]
    for layer in layers:
        z.append(layer.W @ a[-1] + layer.b[:, None])
        a.append(activation(layer.f)[0](z[-1]))
    return Forward(z, a)


# -- losses: E, the mean over the samples, and ∂E/∂y [n_L, B] -----------------------------------


def squared(y: Floats, t: Floats) -> tuple[float, Floats]:
    """E = mean of ½ |y - t|²."""
    B = y.shape[1]
    return float(np.sum((y - t) ** 2)) / (2 * B), (y - t) / B


def cross_entropy(y: Floats, t: Floats) -> tuple[float, Floats]:
    """E = mean of -Σ t log softmax(y); y are logits, each column of t sums to 1."""
    B = y.shape[1]
    shifted = y - y.max(0)
    log_p = shifted - log(exp(shifted).sum(0))
    return float(-np.sum(t * log_p)) / B, (exp(log_p) - t) / B


Loss = Callable[[Floats, Floats], tuple[float, Floats]]

# -- the backward pass: layer errors once, gradients from them ----------------------------------


class Gradient(NamedTuple):
    """∂E/∂W_l [n_l, n_{l-1}] and ∂E/∂b_l [n_l] of one layer; also an update ΔW_l, Δb_l."""

    W: Floats
    b: Floats


def layer_errors(layers: Sequence[Layer], seen: Forward, dE_dy: Floats) -> list[Floats]:
    """[δ_1 .. δ_L]: each is computed once, from the one behind it, and used twice.

    δ_L = ∂E/∂y ⊙ f'(z_L)     δ_l = W_{l+1}ᵀ δ_{l+1} ⊙ f'(z_l)
    """
    dE_da, errors = dE_dy, []
    for layer, z in zip(reversed(layers), reversed(seen.z), strict=True):
        errors.append(dE_da * activation(layer.f)[1](z))
        dE_da = layer.W.T @ errors[-1]
    return errors[::-1]


def gradients(errors: Sequence[Floats], seen: Forward) -> list[Gradient]:
    """Layer error × layer input: ∂E/∂W_l = δ_l a_{l-1}ᵀ, ∂E/∂b_l = δ_l summed over samples."""
    return [Gradient(d @ a.T, d.sum(1)) for d, a in zip(errors, seen.a[:-1], strict=True)]


def backpropagate(
    layers: Sequence[Layer], x: Floats, t: Floats, loss: Loss = squared
) -> tuple[float, list[Gradient]]:
    """E and its gradient by every weight and bias: one pass forward, one back."""
    fits(layers, x, t)
    seen = forward(layers, x)
    error, dE_dy = loss(seen.a[-1], t)
    return error, gradients(layer_errors(layers, seen, dE_dy), seen)


# -- learning -----------------------------------------------------------------------------------


def update(
    layers: Sequence[Layer],
    slope: Sequence[Gradient],
    last: Sequence[Gradient] | None,
    eta: float,
    alpha: float = 0.0,
) -> tuple[list[Layer], list[Gradient]]:
    """Δw = -η ∂E/∂w + α Δw_last: the new layers, and Δw to be remembered (None: nothing yet).

    PyTorch's SGD remembers v = ∂E/∂w + α v_last and applies -η v. The two are one while η stays;
    when η changes, PyTorch rescales what it remembers, the classical rule does not.
    """
    last = last or [Gradient(0 * g.W, 0 * g.b) for g in slope]
    moves = [
        Gradient(-eta * g.W + alpha * d.W, -eta * g.b + alpha * d.b)
        for g, d in zip(slope, last, strict=True)
    ]
    return [Layer(n.W + d.W, n.b + d.b, n.f) for n, d in zip(layers, moves, strict=True)], moves


def batches(
    n: int, size: int | None, rng: np.random.Generator | None
) -> Iterator[npt.NDArray[np.intp]]:
    """One epoch over n samples: online (size 1), in mini-batches, or all at once (None).

    The order is drawn from `rng`, anew at each call; without one it is that of the data.
    """
    order = np.arange(n) if rng is None else rng.permutation(n)
    for start in range(0, n, size or n):
        yield order[start : start + (size or n)]


class Stop(NamedTuple):
    """When to stop: at the first rule that holds. A rule that is None is off."""

    epochs: int = 100  # so many have passed
    error: float | None = None  # E is at or below this
    patience: int | None = None  # so many epochs in a row without a new least E
    gradient: float | None = None  # |∂E/∂w| over all weights and training data is at or below this

    def why(self, epochs: int, error: float, since: int, slope: Sequence[Gradient]) -> str:
        """The rule that holds after so many epochs, `since` of them without a new least E; "" if
        none does."""
        size = math.sqrt(sum(np.sum(g.W**2) + np.sum(g.b**2) for g in slope))
        holds = {
            "error": self.error is not None and error <= self.error,
            "patience": self.patience is not None and since >= self.patience,
            "gradient": self.gradient is not None and size <= self.gradient,
            "epochs": epochs >= self.epochs,
        }
        return next((rule for rule, held in holds.items() if held), "")


class Training(NamedTuple):
    """What came of `train`. `errors` and `held_out` begin before the first epoch."""

    layers: list[Layer]  # at the end
    best: list[Layer]  # where the E that is judged was least
    errors: list[float]  # E on the training data
    held_out: list[float]  # E on `valid`; [] without it
    why: str  # the rule of `Stop` that held


def train(
    layers: Sequence[Layer], x: Floats, t: Floats, *, eta: float, alpha: float = 0.0,
    stop: Stop, loss: Loss = squared, batch: int | None = None,
    rng: np.random.Generator | None = None, valid: tuple[Floats, Floats] | None = None,
) -> Training:  # fmt: skip
    """Learn (x, t), batch after batch (1 = online, None = epoch), until `stop` says so.

    `Stop.error` and `.patience` judge E on `valid` (x, t) where given, else on the training data.
    """
    now, last = list(layers), None
    errors: list[float] = []
    held_out: list[float] = []
    best, least, since = now, math.inf, 0
    while True:
        error, slope = backpropagate(now, x, t, loss)
        errors.append(error)
        if valid is not None:
            error = loss(forward(now, valid[0]).a[-1], valid[1])[0]
            held_out.append(error)
        since += 1
        if error < least:
            best, least, since = now, error, 0
        why = stop.why(len(errors) - 1, error, since, slope)
        if why:
            return Training(now, best, errors, held_out, why)
        for rows in batches(x.shape[1], batch, rng):
            _, slope = backpropagate(now, x[:, rows], t[:, rows], loss)
            now, last = update(now, slope, last, eta, alpha)
