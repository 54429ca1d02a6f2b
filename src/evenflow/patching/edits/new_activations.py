"""What a new activation is in a script: a module, a function, or a class that torch lacks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...activations import find, leaky_slope, tailor
from ...lang import _
from ..optimizer_call import number
from ..patch import Unfit

#: torch.nn.functional has a function of the module's name in lower case.
_FUNCTIONS = frozenset(
    (
        *("relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus", "hardtanh"),
        *("relu6", "celu", "hardswish", "hardsigmoid", "softsign", "logsigmoid"),
    )
)
_CLASS = '''
class {name}(torch.nn.Module):
    """{about}"""

    def forward(self, x):
        return {formula}
'''

_FUNCTION = '''
def {name}(x):
    """{about}"""
    return {formula}
'''


@dataclass(frozen=True, slots=True)
class NewActivation:
    """`module`: an expression that makes one; `formula`: the function of `{x}`, "" if it has
    weights; `template`: of the class that the script needs for `module`, `function` of one that
    computes the formula; "" for torch's own."""

    module: str
    formula: str
    template: str = ""
    function: str = ""


def made(name: str, parameters: dict[str, float]) -> NewActivation:
    """The activation of a swap. Unfit for one with weights that a script has to place by hand."""
    if name == "identity":
        return NewActivation("torch.nn.Identity()", "{x}")
    if name == "centred_sigmoid":
        about = "4 (sigmoid(x) - 1/2): mean 0 and slope 1 at 0."
        return _own("CentredSigmoid", "2 * torch.tanh(0.5 * {x})", about)
    if name == "sigmoid" and parameters.get("slope", 1.0) != 1.0:
        slope = number(parameters["slope"])
        return _own("SlopedSigmoid", f"torch.sigmoid({slope} * {{x}})", "The sigmoid, sloped.")
    if name.startswith("tailored_"):
        return tailored(name, int(parameters.get("depth", 50)))
    found = find(name)
    given = ", ".join(f"{k}={number(v)}" for k, v in parameters.items())
    title = (
        found.factory.partition(":")[2] if found.factory.startswith("torch.nn:") else found.title
    )
    module = f"torch.nn.{title}({given})"
    if name in ("tanh", "sigmoid"):
        return NewActivation(module, f"torch.{name}({{x}})")
    if name == "relu":
        return NewActivation(module, "torch.relu({x})")
    if name in _FUNCTIONS:
        more = f", {given}" if given else ""
        return NewActivation(module, f"torch.nn.functional.{name}({{x}}{more})")
    if found.factory.startswith("torch.nn:"):
        return NewActivation(module, "")
    said = _("{name} has numbers that are learnt, which torch's modules lack.")
    raise Unfit(said.format(name=found.title))


def tailored(name: str, depth: int) -> NewActivation:
    """An activation bent to a depth (arXiv:2110.01765, arXiv:2203.08120), its constants solved."""
    if name == "tailored_leaky_relu":
        a = leaky_slope(depth, 0.9)
        scale = (2 / (1 + a**2)) ** 0.5
        formula = f"{scale!r} * torch.nn.functional.leaky_relu({{x}}, {a!r})"
        return _own("TailoredReLU", formula, f"LeakyReLU for {depth} layers (arXiv:2203.08120).")
    kind = name.removeprefix("tailored_")
    t = tailor(kind, depth, 0.3)
    inner = f"{t.alpha!r} * {{x}} {_plus(t.beta)}"
    formula = f"{t.gamma!r} * (torch.{kind}({inner}) {_plus(t.delta)})"
    about = f"{kind} for {depth} layers (arXiv:2110.01765)."
    return _own(f"Tailored{kind.title()}", formula, about)


def _plus(x: float) -> str:
    return f"{'-' if x < 0 else '+'} {abs(x)!r}"


def _own(name: str, formula: str, about: str) -> NewActivation:
    code = formula.format(x="x")
    return NewActivation(
        f"{name}()",
        formula,
        _CLASS.format(name=name, about=about, formula=code),
        _FUNCTION.format(name=_snake(name), about=about, formula=code),
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
