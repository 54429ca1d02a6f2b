"""Rules: pure functions from a run to findings. `judge` is the one way in."""

from __future__ import annotations

from .asked import Asked as Asked
from .asked import asked as asked
from .base import Rule as Rule
from .causes import STATES as STATES
from .judge import judge as judge
from .judge import unmeasuring as unmeasuring
from .labels import COMMON as COMMON
from .origin import Spread as Spread
from .registry import CAUSES as CAUSES
from .registry import REGISTRY as REGISTRY
from .registry import RETIRED as RETIRED
from .start import drawn as drawn
from .texts import Cause as Cause
from .texts import EndState as EndState
from .texts import EvidenceLabel as EvidenceLabel
from .texts import Remedy as Remedy
from .texts import Unless as Unless
from .unread import unread as unread
from .view import View as View
