"""Foresee: will a network train, before its first step? One pass through it, or theory alone.

The records here are free of torch, so that a stored forecast can be set beside a run anywhere;
`preflight` needs it and is fetched at first use.
"""

from typing import TYPE_CHECKING, Any

from .assemble import assemble as assemble
from .beside import Pair as Pair
from .beside import beside as beside
from .record import Advice as Advice
from .record import Forecast as Forecast
from .record import Outlook as Outlook

if TYPE_CHECKING:
    from .foresee import preflight as preflight


def __getattr__(name: str) -> Any:
    if name != "preflight":
        raise AttributeError(f"module 'evenflow.forecast' has no attribute {name!r}")
    from .foresee import preflight

    return preflight
