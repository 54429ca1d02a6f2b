"""Trials of treatments: runs of an unmodified script, judged side by side.

Importing it costs the standard library only: a trial's process imports it before the script runs.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .job import Job as Job
from .job import Outcome as Outcome

if TYPE_CHECKING:
    from . import project_config as project_config
    from .child import Attempt as Attempt
    from .child import Guest as Guest
    from .child import attempt_of as attempt_of
    from .cure_file import keep_cure as keep_cure
    from .cure_run import CannotCure as CannotCure
    from .curing import conduct as conduct
    from .curing import cure as cure
    from .engine import CHILD as CHILD
    from .engine import LocalPool as LocalPool
    from .injection import Injection as Injection
    from .record import Cure as Cure
    from .record import PatchProof as PatchProof
    from .rendering import render as render
    from .scratch import FolderSnapshot as FolderSnapshot
    from .settings import Settings as Settings

_HOME = {
    "child": "Attempt Guest attempt_of",
    "engine": "CHILD LocalPool",
    "scratch": "FolderSnapshot",
    "cure_file": "keep_cure",
    "cure_run": "CannotCure",
    "curing": "conduct cure",
    "injection": "Injection",
    "record": "Cure PatchProof",
    "rendering": "render",
    "settings": "Settings",
}
__getattr__, __dir__ = lazily(__name__, _HOME)
