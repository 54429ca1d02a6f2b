"""Which activations there are: one explicit dict."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..lang import N_, _, sentences
from ..nearby import did_you_mean, there_are
from . import curves
from .quadrature import Array, Function

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Activation:
    """One activation: its function in NumPy, and where its module is.

    `f` and `df` take (x, **parameters); None where no function of one number exists. `kinks` gives
    the places where f or f' jumps for given parameters.
    """

    name: str
    title: str
    #: "module:attribute" of what makes the nn.Module; a string, so that theory needs no torch.
    factory: str
    formula: str
    source: str
    f: Callable[..., Array] | None
    df: Callable[..., Array] | None
    aliases: tuple[str, ...] = ()
    kinks: Callable[..., tuple[float, ...]] = lambda **_: ()
    notes: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The curve's parameters and their defaults; {} if it has none."""
        if self.f is None:
            return {}
        found = list(inspect.signature(self.f).parameters.values())[1:]
        return {p.name: p.default for p in found}


@dataclass(frozen=True)
class Curve:
    """f, f' and kinks with parameters put in: what `evenflow.activations.meanfield` asks for."""

    f: Function
    df: Function
    kinks: tuple[float, ...]


def _at_zero(**_: Any) -> tuple[float, ...]:
    return (0.0,)


def _at_the_bounds(min_val: float = -1.0, max_val: float = 1.0) -> tuple[float, ...]:
    return (min_val, max_val)


_TAT = "Zhang et al. 2022, arXiv:2203.08120 (TAT); Martens et al. 2021, arXiv:2110.01765 (DKS)"
_ACON = "Ma et al. 2021, arXiv:2009.04759"


def _described(name: str, title: str, formula: str, source: str, **more: Any) -> Activation:
    """With f and f' of `curves`, if it has them; the module is torch's of that title, or told."""
    f, df = (getattr(curves, attribute, None) for attribute in (name, f"d_{name}"))
    factory = more.pop("factory", f"torch.nn:{title}")
    return Activation(name, title, factory, formula, source, f, df, **more)


ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        _described(
            "sigmoid",
            "Sigmoid",
            N_("1/(1 + e^(-αx)), slope α"),
            "Rumelhart, Hinton & Williams 1986, Nature 323",
            factory="evenflow.activations.modules:sigmoid",
            aliases=("logistic",),
            notes=N_("Outputs are never centred: mean 1/2 whatever q is."),
        ),
        _described(
            "tanh",
            "Tanh",
            "(e^x - e^(-x))/(e^x + e^(-x))",
            "LeCun et al. 1998, Efficient BackProp",
        ),
        _described(
            "relu",
            "ReLU",
            "max(0, x)",
            "Nair & Hinton 2010, ICML; He et al. 2015, arXiv:1502.01852",
            aliases=("rectifier",),
            kinks=_at_zero,
            notes=N_(
                "f'(0) is 0 in torch. A critical start keeps gradients, yet c creeps to 1: all "
                "inputs of a deep plain network come to look alike."
            ),
        ),
        _described(
            "leaky_relu",
            "LeakyReLU",
            N_("x for x > 0, else a·x; negative_slope a"),
            "Maas, Hannun & Ng 2013, ICML workshop",
            aliases=("lrelu",),
            kinks=_at_zero,
        ),
        _described(
            "prelu",
            "PReLU",
            N_("x for x > 0, else a·x; a trainable, starts at init"),
            "He et al. 2015, arXiv:1502.01852",
            kinks=_at_zero,
            notes=N_("The card is of the start; a moves in training."),
        ),
        _described(
            "elu",
            "ELU",
            N_("x for x > 0, else α(e^x - 1)"),
            "Clevert et al. 2015, arXiv:1511.07289",
            kinks=_at_zero,
        ),
        _described(
            "selu",
            "SELU",
            "λ·ELU_α(x), λ = 1.0507, α = 1.6733",
            "Klambauer et al. 2017, arXiv:1706.02515",
            kinks=_at_zero,
            notes=N_(
                "Mean 0 and variance 1 are its fixed point under LeCun-normal weights; χ1 there "
                "lies a little above 1."
            ),
        ),
        _described(
            "swish",
            "Swish",
            N_("x·σ(βx), β trainable"),
            "Ramachandran et al. 2017, arXiv:1710.05941",
            factory="evenflow.activations.modules:Swish",
            notes=N_(
                "β → 0 is x/2, β = 1 SiLU, β → ∞ ReLU. The card is of the start; β moves in "
                "training."
            ),
        ),
        _described(
            "silu",
            "SiLU",
            "x·σ(x)",
            "Elfwing et al. 2017, arXiv:1702.03118; Hendrycks & Gimpel 2016, arXiv:1606.08415",
            aliases=("swish_1",),
        ),
        _described(
            "gelu",
            "GELU",
            N_("x·Φ(x), Φ the Gaussian distribution function"),
            "Hendrycks & Gimpel 2016, arXiv:1606.08415",
        ),
        _described(
            "mish",
            "Mish",
            "x·tanh(softplus(x))",
            "Misra 2019, arXiv:1908.08681",
        ),
        _described(
            "acon_c",
            "ACON-C",
            N_("(p1-p2)x·σ(β(p1-p2)x) + p2·x; p1, p2, β trainable"),
            _ACON,
            factory="evenflow.activations.modules:AconC",
            aliases=("acon",),
            notes=N_("Starts as Swish (p1 = 1, p2 = 0). The card is of the start."),
        ),
        _described(
            "meta_acon",
            "Meta-ACON",
            N_("ACON-C with β = σ(W2 W1 mean(x)) of each sample and channel"),
            _ACON,
            factory="evenflow.activations.modules:MetaAcon",
            notes=N_("For any one β in (0, 1) it is ACON-C: see `acon_c` with beta=...."),
        ),
        _described(
            "softplus",
            "Softplus",
            "ln(1 + e^(βx))/β",
            "Dugas et al. 2000, NIPS",
            notes=N_("torch's module turns linear where βx > 20; the difference is below 3e-9/β."),
        ),
        _described(
            "hardtanh",
            "Hardtanh",
            N_("x, clipped to [min_val, max_val] = [-1, 1]"),
            "Collobert 2004, thesis, Université Paris VI",
            kinks=_at_the_bounds,
        ),
        _described(
            "tailored_sigmoid",
            N_("Tailored sigmoid"),
            N_("γ(σ(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1, depth·C''(1) = curvature"),
            _TAT,
            factory="evenflow.activations.modules:TailoredSigmoid",
            aliases=("tat_sigmoid",),
            notes=N_(
                "The same function as the tailored tanh: the constants absorb the difference."
            ),
        ),
        _described(
            "tailored_tanh",
            N_("Tailored tanh"),
            N_("γ(tanh(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1, depth·C''(1) = curvature"),
            _TAT,
            factory="evenflow.activations.modules:TailoredTanh",
            aliases=("tat_tanh",),
        ),
        _described(
            "tailored_leaky_relu",
            N_("Tailored LeakyReLU"),
            N_("√(2/(1+a²))·LeakyReLU_a(x), a from C_f(0) = similarity over depth layers"),
            _TAT,
            factory="evenflow.activations.modules:TailoredLeakyReLU",
            aliases=("tat", "tat_leaky_relu"),
            kinks=_at_zero,
        ),
    )
}


def names() -> tuple[str, ...]:
    """The names of all activations, in the registry's order.

    >>> from evenflow.activations import names
    >>> names()[:3]
    ('sigmoid', 'tanh', 'relu')
    """
    return tuple(ACTIVATIONS)


def find(name: str) -> Activation:
    """The activation of this name or alias; case, "-", "_" and spaces do not matter.

    ValueError with the nearest names for an unknown one.

    >>> from evenflow.activations import find
    >>> find("Leaky-ReLU").name
    'leaky_relu'
    """
    known = {_plain(key): a for a in ACTIVATIONS.values() for key in (a.name, *a.aliases)}
    if _plain(name) in known:
        return known[_plain(name)]
    near = did_you_mean(_plain(name), known, 3, lambda key: known[key].name)
    said = _("there is no activation {name!r}; {hint}")
    raise ValueError(said.format(name=name, hint=near or there_are(ACTIVATIONS)))


def get(name: str, **parameters: Any) -> nn.Module:
    """A new module of this activation: torch's where torch has one, else ours.

    `get("leaky_relu", negative_slope=0.2)`, `get("swish", num_parameters=64)`,
    `get("tailored_tanh", depth=50)`. Parameters are those of the module (`sigmoid`: slope).
    ValueError for an unknown name or parameter.

    >>> from evenflow.activations import get
    >>> get("leaky_relu", negative_slope=0.2)
    LeakyReLU(negative_slope=0.2)
    """
    wanted = find(name)
    home, attribute = wanted.factory.split(":")
    factory = getattr(import_module(home), attribute)
    accepted = {  # without the *args, **kwargs that modules without parameters inherit
        key: p
        for key, p in inspect.signature(factory).parameters.items()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    if unknown := sorted(parameters.keys() - accepted.keys()):
        raise ValueError(_refusal(wanted.name, unknown, list(accepted)))
    if missing := [k for k, p in accepted.items() if p.default is p.empty and k not in parameters]:
        raise ValueError(
            _("{name} must be told {missing}: get({name!r}, {first}=...)").format(
                name=wanted.name, missing=", ".join(missing), first=missing[0]
            )
        )
    module: nn.Module = factory(**parameters)
    return module


def curve(name: str, **parameters: Any) -> Curve:
    """f, f' and kinks in NumPy, parameters put in (defaults for the rest).

    ValueError for an unknown name or parameter, and where the activation is no function of one
    number (Meta-ACON).

    >>> import numpy as np
    >>> from evenflow.activations import curve
    >>> leaky = curve("leaky_relu", negative_slope=0.2)
    >>> leaky.f(np.array([-5.0, 2.0])).tolist(), leaky.kinks
    ([-1.0, 2.0], (0.0,))
    """
    wanted = find(name)
    f, df = wanted.f, wanted.df
    if f is None or df is None:
        said = _("{name} has no curve: its output depends on more than one input.")
        raise ValueError(sentences((said.format(name=wanted.name), _(wanted.notes))))
    unknown = parameters.keys() - wanted.parameters.keys()
    if unknown:
        raise ValueError(_refusal(wanted.name, sorted(unknown), list(wanted.parameters)))
    return Curve(
        lambda x: f(x, **parameters), lambda x: df(x, **parameters), wanted.kinks(**parameters)
    )


def _refusal(name: str, unknown: list[str], accepted: list[str]) -> str:
    takes = _("it takes {names}.").format(names=", ".join(accepted))
    said = _("{name} has no parameter {unknown}; {takes}")
    return said.format(
        name=name,
        unknown=", ".join(map(repr, unknown)),
        takes=takes if accepted else _("it takes none."),
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_\s]", "", name.lower())
