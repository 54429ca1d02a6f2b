"""Rules: pure functions from a run to findings. `judge` is the one way in."""

from .base import Cause as Cause
from .base import EvidenceLabel as EvidenceLabel
from .base import Remedy as Remedy
from .base import Rule as Rule
from .base import Unless as Unless
from .birth import DOUBT as DOUBT
from .birth import Birth as Birth
from .causes import STATES as STATES
from .chains import faults as faults
from .judge import judge as judge
from .labels import COMMON as COMMON
from .origin import Spread as Spread
from .pages import headline as headline
from .pages import told as told
from .registry import CAUSES as CAUSES
from .registry import REGISTRY as REGISTRY
from .registry import RETIRED as RETIRED
from .select import Asked as Asked
from .select import asked as asked
from .start import drawn as drawn
from .through_time import ThroughTime as ThroughTime
from .unread import unread as unread
from .view import View as View
