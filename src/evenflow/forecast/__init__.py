"""Foresee: will a network train, before its first step? One pass through it, or theory alone.

The records here are free of torch, so that a stored forecast can be set beside a run anywhere;
`preflight` needs it and is fetched at first use.
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
    from .foresee import preflight as preflight

__getattr__, __dir__ = lazily(__name__, {"preflight": "foresee"})
