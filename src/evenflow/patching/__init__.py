"""Treatments written into a script: a diff in plain PyTorch, without Evenflow. No torch here.

LibCST is an extra (`pip install "evenflow[patch]"`), imported at first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .diffing import diff_of as diff_of
from .known import KnownOptimizer as KnownOptimizer
from .known import KnownRoot as KnownRoot
from .known import KnownTraining as KnownTraining
from .known import known_training as known_training
from .patch import CannotPatch as CannotPatch
from .patch import Done as Done
from .patch import Note as Note
from .patch import Patch as Patch
from .sources import decoded as decoded
from .sources import sources_of as sources_of

if TYPE_CHECKING:
    from .course import patched as patched
    from .course import readable as readable
    from .edits import EDITS as EDITS

_HOME = {"course": "patched readable", "edits": "EDITS"}
_NEEDS = {"libcst": 'LibCST, which is not installed: pip install "evenflow[patch]"'}
__getattr__, __dir__ = lazily(__name__, _HOME, _NEEDS)
