"""Experiments by back-propagation before a training: what `evenflow.checkup` tries and tells.

A bench runs a training from its first forward on, changed in one thing; the nine experiments ask
it for runs and judge the figures. Free of torch but for what is fetched at first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .bench import Bench as Bench
from .bench import Change as Change
from .bench import Subject as Subject
from .bench import Trace as Trace
from .result import Checkup as Checkup
from .result import Tested as Tested

if TYPE_CHECKING:
    from .conducting import conduct as conduct
    from .forks import CannotExamine as CannotExamine
    from .forks import examine as examine
    from .inprocess import checkup as checkup
    from .instrument import Instrument as Instrument
    from .telling import page as page
    from .telling import page_section as page_section
    from .telling import render as render

_HOME = {
    "conducting": "conduct",
    "forks": "CannotExamine examine",
    "inprocess": "checkup",
    "instrument": "Instrument",
    "telling": "page page_section render",
}
__getattr__, __dir__ = lazily(__name__, _HOME)
