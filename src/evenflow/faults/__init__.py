"""Rules: pure functions from a run to findings. `judge` is the one way in."""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .base import Rule as Rule
from .birth import DOUBT as DOUBT
from .birth import Birth as Birth
from .causes import STATES as STATES
from .judge import judge as judge
from .labels import COMMON as COMMON
from .origin import Spread as Spread
from .registry import CAUSES as CAUSES
from .registry import REGISTRY as REGISTRY
from .registry import RETIRED as RETIRED
from .select import Asked as Asked
from .select import asked as asked
from .start import drawn as drawn
from .texts import Cause as Cause
from .texts import EndState as EndState
from .texts import EvidenceLabel as EvidenceLabel
from .texts import Remedy as Remedy
from .texts import Unless as Unless
from .through_time import ThroughTime as ThroughTime
from .unread import unread as unread
from .view import View as View

if TYPE_CHECKING:
    from .pages import headline as headline
    from .pages import told as told

# Late: `python -m evenflow.faults.pages` runs that module.
__getattr__, __dir__ = lazily(__name__, {"headline": "pages", "told": "pages"})
