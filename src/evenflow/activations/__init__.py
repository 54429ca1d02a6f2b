"""Activation functions: the functions themselves, their mean-field theory, and an atlas card each.

Lazy, as `evenflow` is: `evenflow.activations.meanfield` and `card` work where torch is not
installed; only `get` and the modules themselves import it.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
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
    from .modules import AconC as AconC
    from .modules import MetaAcon as MetaAcon
    from .modules import SlopedSigmoid as SlopedSigmoid
    from .modules import Swish as Swish
    from .modules import TailoredLeakyReLU as TailoredLeakyReLU
    from .modules import TailoredSigmoid as TailoredSigmoid
    from .modules import TailoredTanh as TailoredTanh
    from .registry import ACTIVATIONS as ACTIVATIONS
    from .registry import Activation as Activation
    from .registry import Curve as Curve
    from .registry import curve as curve
    from .registry import find as find
    from .registry import get as get
    from .registry import names as names
    from .shape import shape_of as shape_of
    from .sweeping import asked_sweep as asked_sweep
    from .sweeping import spelled as spelled
    from .sweeping import sweep as sweep
    from .sweeping import sweep_page as sweep_page
    from .sweeping import sweep_png as sweep_png
    from .sweeping import sweep_table as sweep_table
    from .tailoring import leaky_slope as leaky_slope
    from .tailoring import tailor as tailor

_HOME = {
    "atlas": "Card card",
    "card_text": "as_data table text",
    "figures": "NoPictures new_figure overview_page page png saved_svg",
    "meanfield": "Critical critical_at critical_steady critical_without_bias expect expect_pair",
    "modules": "AconC MetaAcon SlopedSigmoid Swish TailoredLeakyReLU TailoredSigmoid TailoredTanh",
    "registry": "ACTIVATIONS Activation Curve curve find get names",
    "shape": "shape_of",
    "sweeping": "asked_sweep spelled sweep sweep_page sweep_png sweep_table",
    "tailoring": "leaky_slope tailor",
}
__all__ = sorted(" ".join(_HOME.values()).split())  # noqa: PLE0605 - plain strings
__getattr__, __dir__ = lazily(__name__, _HOME)
