"""Weights drawn anew at the right scale: the start decides how deep a plain network can be.

He, Xavier and LeCun set E z² by fan-in or fan-out. "critical" and "orthogonal" take σw² from the
activation itself, by solving χ1 = σw² E φ'(z)² = 1 in mean-field theory, so that gradients neither
vanish nor explode; orthogonal weights also keep all singular values at 1, which Gaussian ones do
not. Delta-orthogonal kernels do the same for convolutions (a centre only).

Step 0: learned weights are overwritten, biases become 0. Cures EF101, EF102, EF205, EF601, EF602
and EF605 in plain networks. Fails: with ReLU c still creeps to 1 (tailored activations mend that);
the sigmoid has no usable critical point (centred LSUV mends that).
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Entry, Facts, optional, positive, shown, undrawable


def _factor(factor: float) -> str:
    return "" if factor == 1 else f" * {shown(factor)}"


def _unsolved(method: str) -> Callable[[float, Facts], str | None]:
    """Refusals of a method that takes its scale from fan-in and fan-out alone."""

    def refuse(factor: float, facts: Facts) -> str | None:
        if why := undrawable(facts):
            return why
        if factor == 1 and method in facts.drawn:
            return f"its weights are drawn so already ({method})."
        if facts.deep and facts.plain and facts.activation == "sigmoid":
            return (
                f"{facts.depth} plain sigmoid layers do not train from it, whatever the scale "
                "(measured, 50 layers: 8.8 %); init=lsuv-centred does (95.9 %)."
            )
        return None

    return refuse


def _solved(factor: float, facts: Facts) -> str | None:
    if why := undrawable(facts):
        return why
    if "sigmoid" in facts.activations or "softplus" in facts.activations:
        return (
            "the sigmoid is critical only with saturated units (σw² = 103): use init=lsuv-centred "
            "or activation=sigmoid->centred_sigmoid."
        )
    return None


def _delta(factor: float, facts: Facts) -> str | None:
    if not facts.convolution:
        return "the network has no convolution; use init=orthogonal."
    return _solved(factor, facts)


def _entry(method: str, about: str, source: str, code: str, refuse: object, fails: str) -> Entry:
    def edit(factor: float) -> str:
        return (
            "before training: for m in model.modules(): if hasattr(m, 'weight') and m.weight.dim() "
            f"> 1: {code}{_factor(factor)}; torch.nn.init.zeros_(m.bias)"
        )

    return Entry(
        kind="init",
        method=method,
        about=about,
        when="start",
        preserves=False,
        cost="once, far below a training step a layer",
        fails=fails,
        source=source,
        values={method: about, f"{method}:0.9": "the same, times a factor"},
        edit=edit,
        parse=optional(positive, 1.0),
        refuse=refuse,  # type: ignore[arg-type]
        apply=f"initial:{method.replace('-', '_')}",
    )


HE = _entry(
    "he",
    "normal weights of variance 2/fan_in after rectifiers",
    "He et al. 2015, arXiv:1502.01852",
    "torch.nn.init.kaiming_normal_(m.weight, nonlinearity='relu')",
    _unsolved("he"),
    "deep plain ReLU networks: outputs of different inputs come to look alike",
)
XAVIER = _entry(
    "xavier",
    "normal weights of variance 2/(fan_in + fan_out)",
    "Glorot & Bengio 2010, AISTATS",
    "torch.nn.init.xavier_normal_(m.weight)",
    _unsolved("xavier"),
    "deep sigmoid networks stay at chance (measured, 50 layers: 8.8 %)",
)
LECUN = _entry(
    "lecun",
    "normal weights of variance 1/fan_in, as SELU asks for",
    "LeCun et al. 1998, Efficient BackProp; Klambauer et al. 2017, arXiv:1706.02515",
    "torch.nn.init.normal_(m.weight, 0, m.weight[0].numel() ** -0.5)",
    _unsolved("lecun"),
    "ReLU networks lose half of the variance at each layer",
)
ORTHOGONAL = _entry(
    "orthogonal",
    "orthogonal weights, σw² from χ1 = 1 for the activation",
    "Saxe et al. 2013, arXiv:1312.6120; Pennington et al. 2017, arXiv:1711.04735",
    "torch.nn.init.orthogonal_(m.weight, gain)",
    _solved,
    "deep ReLU: inputs still come to look alike; depth asks for a lower learning rate",
)
DELTA = _entry(
    "delta-orthogonal",
    "orthogonal centre, zeros around it: convolutions that pass everything on",
    "Xiao et al. 2018, arXiv:1806.05393",
    "m.weight.zero_(); torch.nn.init.orthogonal_(m.weight[:, :, 1, 1], gain)",
    _delta,
    "even kernels have no centre; more outputs than inputs are needed to lose nothing",
)
CRITICAL = _entry(
    "critical",
    "Gaussian weights and biases at criticality, χ1 = 1 for the activation",
    "Schoenholz et al. 2017, arXiv:1611.01232",
    "torch.nn.init.normal_(m.weight, 0, (sw2 / m.weight[0].numel()) ** 0.5)",
    _solved,
    "singular values spread with depth: beyond some 100 layers use orthogonal",
)
ENTRIES = (HE, XAVIER, LECUN, ORTHOGONAL, DELTA, CRITICAL)
