"""Activation functions: the functions themselves, their mean-field theory, and an atlas card each.

Lazy, as `evenflow` is: `evenflow.activations.meanfield` and `card` work where torch is not
installed; only `get` and the modules themselves import it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .acon import AconC as AconC
    from .acon import MetaAcon as MetaAcon
    from .atlas import Card as Card
    from .atlas import card as card
    from .registry import ACTIVATIONS as ACTIVATIONS
    from .registry import Activation as Activation
    from .registry import Curve as Curve
    from .registry import curve as curve
    from .registry import find as find
    from .registry import get as get
    from .registry import names as names
    from .sloped import SlopedSigmoid as SlopedSigmoid
    from .swish import Swish as Swish
    from .tailored import TailoredLeakyReLU as TailoredLeakyReLU
    from .tailored import TailoredSigmoid as TailoredSigmoid
    from .tailored import TailoredTanh as TailoredTanh

_HOME = {
    "ACTIVATIONS": "registry",
    "AconC": "acon",
    "Activation": "registry",
    "Card": "atlas",
    "Curve": "registry",
    "MetaAcon": "acon",
    "SlopedSigmoid": "sloped",
    "Swish": "swish",
    "TailoredLeakyReLU": "tailored",
    "TailoredSigmoid": "tailored",
    "TailoredTanh": "tailored",
    "card": "atlas",
    "curve": "registry",
    "find": "registry",
    "get": "registry",
    "names": "registry",
}
__all__ = sorted(_HOME)  # noqa: PLE0605 - plain strings


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evenflow.activations' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
