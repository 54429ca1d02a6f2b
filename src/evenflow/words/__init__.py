"""Findings in plain words: what, where, since when, why, and what to do.

What is said of a fault stands in its rule (`faults`); here it is put together and written.
"""

from ..wrapping import breaks as breaks
from ..wrapping import filled as filled
from ..wrapping import has_wide as has_wide
from ..wrapping import wrap as wrap
from . import healing as healing
from .evidence import label as label
from .evidence import write as write
from .figures import change as change
from .figures import factor as factor
from .figures import number as number
from .figures import share as share
from .figures import span as span
from .healing import healed as healed
from .healing import summaries as summaries
from .messages import message as message
from .messages import what_happened as what_happened
from .messages import with_messages as with_messages
from .messages import without_chain as without_chain
from .names import cause as cause
from .names import title as title
from .outcomes import CURE_STAGES as CURE_STAGES
from .outcomes import CURE_VERDICTS as CURE_VERDICTS
from .places import line as line
from .places import sites as sites
from .remedies import Network as Network
from .remedies import Remedial as Remedial
from .remedies import advice as advice
from .remedies import what_to_do as what_to_do
