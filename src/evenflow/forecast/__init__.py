"""Foresee: will a network train, before its first step? One pass through it, or theory alone.

The records here are free of torch, so that a stored forecast can be set beside a run anywhere;
what needs it, or draws text, is fetched at first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .assemble import assemble as assemble
from .beside import Pair as Pair
from .beside import beside as beside
from .record import Advice as Advice
from .record import Forecast as Forecast
from .record import Outlook as Outlook

if TYPE_CHECKING:
    from .compiled import compiled_difference as compiled_difference
    from .foresee import preflight as preflight
    from .inputs import dtype_named as dtype_named
    from .inputs import parse_input as parse_input
    from .isolation import same_random as same_random
    from .isolation import unwatched as unwatched
    from .keeping import save as save
    from .knowing import known_to_patch as known_to_patch
    from .rendering import compared as compared
    from .rendering import lines as lines
    from .static import forecast_static as forecast_static

_HOME = {
    "compiled": "compiled_difference",
    "foresee": "preflight",
    "inputs": "dtype_named parse_input",
    "isolation": "same_random unwatched",
    "keeping": "save",
    "knowing": "known_to_patch",
    "rendering": "compared lines",
    "static": "forecast_static",
}
__getattr__, __dir__ = lazily(__name__, _HOME)
