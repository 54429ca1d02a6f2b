"""Foresee: will a network train, before its first step? One pass through it, or theory alone.

The records here are free of torch, so that a stored forecast can be set beside a run anywhere;
`evenflow.preflight` lives in `foresee`, which only the lazy `evenflow` and the command reach.
"""

from .assemble import assemble as assemble
from .beside import Pair as Pair
from .beside import beside as beside
from .record import Advice as Advice
from .record import Forecast as Forecast
from .record import Outlook as Outlook
