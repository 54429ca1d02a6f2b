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
    from .card_text import as_data as as_data
    from .card_text import table as table
    from .card_text import text as text
    from .figures import NoPictures as NoPictures
    from .figures import new_figure as new_figure
    from .figures import overview_page as overview_page
    from .figures import page as page
    from .figures import png as png
    from .figures import saved_svg as saved_svg
    from .meanfield import Critical as Critical
    from .meanfield import critical_at as critical_at
    from .meanfield import critical_steady as critical_steady
    from .meanfield import critical_without_bias as critical_without_bias
    from .meanfield import expect as expect
    from .meanfield import expect_pair as expect_pair
    from .registry import ACTIVATIONS as ACTIVATIONS
    from .registry import Activation as Activation
    from .registry import Curve as Curve
    from .registry import curve as curve
    from .registry import find as find
    from .registry import get as get
    from .registry import names as names
    from .shape import shape_of as shape_of
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
    "Critical": "meanfield",
    "Curve": "registry",
    "MetaAcon": "acon",
    "NoPictures": "figures",
    "SlopedSigmoid": "sloped",
    "Swish": "swish",
    "TailoredLeakyReLU": "tailored",
    "TailoredSigmoid": "tailored",
    "TailoredTanh": "tailored",
    "as_data": "card_text",
    "card": "atlas",
    "critical_at": "meanfield",
    "critical_steady": "meanfield",
    "critical_without_bias": "meanfield",
    "curve": "registry",
    "expect": "meanfield",
    "expect_pair": "meanfield",
    "find": "registry",
    "get": "registry",
    "names": "registry",
    "new_figure": "figures",
    "overview_page": "figures",
    "page": "figures",
    "png": "figures",
    "saved_svg": "figures",
    "shape_of": "shape",
    "table": "card_text",
    "text": "card_text",
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
