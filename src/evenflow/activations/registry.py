"""Which activations there are: one explicit dict."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..lang import _
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

ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation(
            "sigmoid",
            "Sigmoid",
            "evenflow.activations.sloped:sigmoid",
            "1/(1 + e^(-αx)), slope α",
            "Rumelhart, Hinton & Williams 1986, Nature 323",
            curves.sigmoid,
            curves.d_sigmoid,
            aliases=("logistic",),
            notes="Outputs are never centred: mean 1/2 whatever q is.",
        ),
        Activation(
            "tanh",
            "Tanh",
            "torch.nn:Tanh",
            "(e^x - e^(-x))/(e^x + e^(-x))",
            "LeCun et al. 1998, Efficient BackProp",
            curves.tanh,
            curves.d_tanh,
        ),
        Activation(
            "relu",
            "ReLU",
            "torch.nn:ReLU",
            "max(0, x)",
            "Nair & Hinton 2010, ICML; He et al. 2015, arXiv:1502.01852",
            curves.relu,
            curves.d_relu,
            aliases=("rectifier",),
            kinks=_at_zero,
            notes="f'(0) is 0 in torch. A critical start keeps gradients, yet c creeps to 1: all "
            "inputs of a deep plain network come to look alike.",
        ),
        Activation(
            "leaky_relu",
            "LeakyReLU",
            "torch.nn:LeakyReLU",
            "x for x > 0, else a·x; negative_slope a",
            "Maas, Hannun & Ng 2013, ICML workshop",
            curves.leaky_relu,
            curves.d_leaky_relu,
            aliases=("lrelu",),
            kinks=_at_zero,
        ),
        Activation(
            "prelu",
            "PReLU",
            "torch.nn:PReLU",
            "x for x > 0, else a·x; a trainable, starts at init",
            "He et al. 2015, arXiv:1502.01852",
            curves.prelu,
            curves.d_prelu,
            kinks=_at_zero,
            notes="The card is of the start; a moves in training.",
        ),
        Activation(
            "elu",
            "ELU",
            "torch.nn:ELU",
            "x for x > 0, else α(e^x - 1)",
            "Clevert et al. 2015, arXiv:1511.07289",
            curves.elu,
            curves.d_elu,
            kinks=_at_zero,
        ),
        Activation(
            "selu",
            "SELU",
            "torch.nn:SELU",
            "λ·ELU_α(x), λ = 1.0507, α = 1.6733",
            "Klambauer et al. 2017, arXiv:1706.02515",
            curves.selu,
            curves.d_selu,
            kinks=_at_zero,
            notes="Mean 0 and variance 1 are its fixed point under LeCun-normal weights; χ1 there "
            "lies a little above 1.",
        ),
        Activation(
            "swish",
            "Swish",
            "evenflow.activations.swish:Swish",
            "x·σ(βx), β trainable",
            "Ramachandran et al. 2017, arXiv:1710.05941",
            curves.swish,
            curves.d_swish,
            notes="β → 0 is x/2, β = 1 SiLU, β → ∞ ReLU. The card is of the start; β moves in "
            "training.",
        ),
        Activation(
            "silu",
            "SiLU",
            "torch.nn:SiLU",
            "x·σ(x)",
            "Elfwing et al. 2017, arXiv:1702.03118; Hendrycks & Gimpel 2016, arXiv:1606.08415",
            curves.silu,
            curves.d_silu,
            aliases=("swish_1",),
        ),
        Activation(
            "gelu",
            "GELU",
            "torch.nn:GELU",
            "x·Φ(x), Φ the Gaussian distribution function",
            "Hendrycks & Gimpel 2016, arXiv:1606.08415",
            curves.gelu,
            curves.d_gelu,
        ),
        Activation(
            "mish",
            "Mish",
            "torch.nn:Mish",
            "x·tanh(softplus(x))",
            "Misra 2019, arXiv:1908.08681",
            curves.mish,
            curves.d_mish,
        ),
        Activation(
            "acon_c",
            "ACON-C",
            "evenflow.activations.acon:AconC",
            "(p1-p2)x·σ(β(p1-p2)x) + p2·x; p1, p2, β trainable",
            _ACON,
            curves.acon_c,
            curves.d_acon_c,
            aliases=("acon",),
            notes="Starts as Swish (p1 = 1, p2 = 0). The card is of the start.",
        ),
        Activation(
            "meta_acon",
            "Meta-ACON",
            "evenflow.activations.acon:MetaAcon",
            "ACON-C with β = σ(W2 W1 mean(x)) of each sample and channel",
            _ACON,
            None,
            None,
            notes="For any one β in (0, 1) it is ACON-C: see `acon_c` with beta=....",
        ),
        Activation(
            "softplus",
            "Softplus",
            "torch.nn:Softplus",
            "ln(1 + e^(βx))/β",
            "Dugas et al. 2000, NIPS",
            curves.softplus,
            curves.d_softplus,
            notes="torch's module turns linear where βx > 20; the difference is below 3e-9/β.",
        ),
        Activation(
            "hardtanh",
            "Hardtanh",
            "torch.nn:Hardtanh",
            "x, clipped to [min_val, max_val] = [-1, 1]",
            "Collobert 2004, thesis, Université Paris VI",
            curves.hardtanh,
            curves.d_hardtanh,
            kinks=_at_the_bounds,
        ),
        Activation(
            "tailored_sigmoid",
            "Tailored sigmoid",
            "evenflow.activations.tailored:TailoredSigmoid",
            "γ(σ(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1, depth·C''(1) = curvature",
            _TAT,
            curves.tailored_sigmoid,
            curves.d_tailored_sigmoid,
            aliases=("tat_sigmoid",),
            notes="The same function as the tailored tanh: the constants absorb the difference.",
        ),
        Activation(
            "tailored_tanh",
            "Tailored tanh",
            "evenflow.activations.tailored:TailoredTanh",
            "γ(tanh(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1, depth·C''(1) = curvature",
            _TAT,
            curves.tailored_tanh,
            curves.d_tailored_tanh,
            aliases=("tat_tanh",),
        ),
        Activation(
            "tailored_leaky_relu",
            "Tailored LeakyReLU",
            "evenflow.activations.tailored:TailoredLeakyReLU",
            "√(2/(1+a²))·LeakyReLU_a(x), a from C_f(0) = similarity over depth layers",
            _TAT,
            curves.tailored_leaky_relu,
            curves.d_tailored_leaky_relu,
            aliases=("tat", "tat_leaky_relu"),
            kinks=_at_zero,
        ),
    )
}


def names() -> tuple[str, ...]:
    """The names of all activations, in the registry's order."""
    return tuple(ACTIVATIONS)


def find(name: str) -> Activation:
    """The activation of this name or alias; case, "-", "_" and spaces do not matter.

    ValueError with the nearest names for an unknown one.
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
    """
    wanted = find(name)
    home, attribute = wanted.factory.split(":")
    factory = getattr(import_module(home), attribute)
    _check_parameters(wanted.name, factory, parameters)
    module: nn.Module = factory(**parameters)
    return module


def curve(name: str, **parameters: Any) -> Curve:
    """f, f' and kinks in NumPy, parameters put in (defaults for the rest).

    ValueError for an unknown name or parameter, and where the activation is no function of one
    number (Meta-ACON).
    """
    wanted = find(name)
    f, df = wanted.f, wanted.df
    if f is None or df is None:
        raise ValueError(
            f"{wanted.name} has no curve: its output depends on more than one input. {wanted.notes}"
        )
    unknown = parameters.keys() - wanted.parameters.keys()
    if unknown:
        raise ValueError(_refusal(wanted.name, sorted(unknown), list(wanted.parameters)))
    return Curve(
        lambda x: f(x, **parameters), lambda x: df(x, **parameters), wanted.kinks(**parameters)
    )


def _check_parameters(
    name: str, factory: Callable[..., Any], parameters: Mapping[str, Any]
) -> None:
    accepted = {  # without the *args, **kwargs that modules without parameters inherit
        key: p
        for key, p in inspect.signature(factory).parameters.items()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    unknown = sorted(parameters.keys() - accepted.keys())
    if unknown:
        raise ValueError(_refusal(name, unknown, list(accepted)))
    missing = [
        p.name for p in accepted.values() if p.default is p.empty and p.name not in parameters
    ]
    if missing:
        raise ValueError(
            f"{name} must be told {', '.join(missing)}: get({name!r}, {missing[0]}=...)"
        )


def _refusal(name: str, unknown: list[str], accepted: list[str]) -> str:
    takes = f"it takes {', '.join(accepted)}." if accepted else "it takes none."
    return f"{name} has no parameter {', '.join(map(repr, unknown))}; {takes}"


def _plain(name: str) -> str:
    return re.sub(r"[-_\s]", "", name.lower())
