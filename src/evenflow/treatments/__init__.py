"""Treatments: changes to a training that mend it, as small texts such as `init=lsuv-centred`.

No torch here: `parse`, the registry and `rank` work on stored runs anywhere. `treat_` and `Undo`,
which change a live training, are fetched at first use.
"""

from typing import TYPE_CHECKING

from ..lazy import by_name, lazily
from .architecture import of_run as of_run
from .base import Entry as Entry
from .base import Facts as Facts
from .base import Parsed as Parsed
from .parsing import parse as parse
from .parsing import read as read
from .ranking import Refused as Refused
from .ranking import rank as rank
from .registry import EDITS as EDITS
from .registry import REGISTRY as REGISTRY

if TYPE_CHECKING:
    from .live.clip import agc_factor as agc_factor
    from .live.treating import examine as examine
    from .live.treating import treat_ as treat_
    from .live.undo import Undo as Undo

_HOME = by_name({"live.clip": "agc_factor", "live.treating": "examine treat_", "live.undo": "Undo"})
__getattr__, __dir__ = lazily(__name__, _HOME)
