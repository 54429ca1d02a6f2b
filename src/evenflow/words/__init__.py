"""Findings in plain words: what, where, since when, why, and what to do."""

from .catalogue import CAUSES as CAUSES
from .catalogue import NAMES as NAMES
from .catalogue import TITLES as TITLES
from .catalogue import cause as cause
from .catalogue import title as title
from .evidence import LABELS as LABELS
from .evidence import write as write
from .figures import decades as decades
from .figures import number as number
from .figures import share as share
from .figures import span as span
from .fitting import Network as Network
from .fitting import advice as advice
from .healing import healed as healed
from .healing import summaries as summaries
from .places import sites as sites
from .story import tell as tell
from .story import told as told
from .story import without_chain as without_chain
from .wrapping import breaks as breaks
from .wrapping import has_wide as has_wide
