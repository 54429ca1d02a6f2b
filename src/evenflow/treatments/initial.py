"""Weights drawn anew at the right scale: the start decides how deep a plain network can be.

He, Xavier and LeCun set E z² by fan-in or fan-out. "critical" and "orthogonal" take σw² from the
activation itself, by solving χ1 = σw² E φ'(z)² = 1 in mean-field theory, so that gradients neither
vanish nor explode; orthogonal weights also keep all singular values at 1, which Gaussian ones do
not. Delta-orthogonal kernels do the same for convolutions (a centre only).

Step 0: learned weights are overwritten, biases become 0. Cures EF101, EF102, EF205, EF601, EF602
and EF605 in plain networks. Fails: with ReLU c still creeps to 1 (tailored activations mend that);
the sigmoid has no usable critical point (centred LSUV mends that); even kernels have no centre;
Gaussian weights spread their singular values with depth (beyond some 100 layers use orthogonal).

Sources: He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010, AISTATS; LeCun et al. 1998,
Efficient BackProp; Klambauer et al. 2017, arXiv:1706.02515; orthogonal: Saxe et al. 2013,
arXiv:1312.6120, Pennington et al. 2017, arXiv:1711.04735, Xiao et al. 2018, arXiv:1806.05393;
critical: Schoenholz et al. 2017, arXiv:1611.01232.
"""

from __future__ import annotations

from .base import Entry, Facts, Refuse, optional, positive, shown, undrawable


def _factor(factor: float) -> str:
    return "" if factor == 1 else f" * {shown(factor)}"


def _unsolved(method: str) -> Refuse:
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


def _entry(method: str, about: str, code: str, refuse: Refuse) -> Entry:
    def edit(factor: float) -> str:
        return (
            "before training: for m in model.modules(): if hasattr(m, 'weight') and m.weight.dim() "
            f"> 1: {code}{_factor(factor)}; torch.nn.init.zeros_(m.bias)"
        )

    return Entry(
        kind="init",
        method=method,
        about=about,
        examples=(method, f"{method}:0.9"),
        edit=edit,
        parse=optional(positive, 1.0),
        refuse=refuse,
        apply=f"initial:{method.replace('-', '_')}",
    )


HE = _entry(
    "he",
    "normal weights of variance 2/fan_in after rectifiers",
    "torch.nn.init.kaiming_normal_(m.weight, nonlinearity='relu')",
    _unsolved("he"),
)
XAVIER = _entry(
    "xavier",
    "normal weights of variance 2/(fan_in + fan_out)",
    "torch.nn.init.xavier_normal_(m.weight)",
    _unsolved("xavier"),
)
LECUN = _entry(
    "lecun",
    "normal weights of variance 1/fan_in, as SELU asks for",
    "torch.nn.init.normal_(m.weight, 0, m.weight[0].numel() ** -0.5)",
    _unsolved("lecun"),
)
ORTHOGONAL = _entry(
    "orthogonal",
    "orthogonal weights, σw² from χ1 = 1 for the activation",
    "torch.nn.init.orthogonal_(m.weight, gain)",
    _solved,
)
DELTA = _entry(
    "delta-orthogonal",
    "orthogonal centre, zeros around it: convolutions that pass everything on",
    "m.weight.zero_(); torch.nn.init.orthogonal_(m.weight[:, :, 1, 1], gain)",
    _delta,
)
CRITICAL = _entry(
    "critical",
    "Gaussian weights and biases at criticality, χ1 = 1 for the activation",
    "torch.nn.init.normal_(m.weight, 0, (sw2 / m.weight[0].numel()) ** 0.5)",
    _solved,
)
ENTRIES = (HE, XAVIER, LECUN, ORTHOGONAL, DELTA, CRITICAL)
