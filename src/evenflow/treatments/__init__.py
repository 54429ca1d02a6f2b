"""Treatments: changes to a training that mend it, as small texts such as `init=lsuv-centred`.

No torch here: `parse`, the registry and `courses` work on stored runs anywhere. What changes a live
training (`treat_`, `Undo`) is fetched at first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .architecture import of_run as of_run
from .base import Entry as Entry
from .base import Facts as Facts
from .base import Parsed as Parsed
from .base import positive as positive
from .known import KnownActivation as KnownActivation
from .known import KnownAttention as KnownAttention
from .known import KnownInput as KnownInput
from .known import KnownLayer as KnownLayer
from .known import KnownModel as KnownModel
from .known import Spot as Spot
from .known import known_as_json as known_as_json
from .known import known_model as known_model
from .parsing import in_order as in_order
from .parsing import parse as parse
from .parsing import read as read
from .ranking import Course as Course
from .ranking import Refused as Refused
from .ranking import courses as courses
from .rate import OPTIMIZERS as OPTIMIZERS
from .registry import REGISTRY as REGISTRY
from .registry import kinds as kinds

if TYPE_CHECKING:
    from .live.clip import agc_factor as agc_factor
    from .live.clip import total_norm as total_norm
    from .live.context import TreatmentContext as TreatmentContext
    from .live.forward_trace import ForwardTrace as ForwardTrace
    from .live.forward_trace import trace_forward as trace_forward
    from .live.knowing import MadeLines as MadeLines
    from .live.knowing import know_ as know_
    from .live.knowing import spots as spots
    from .live.revive import ActivationTrace as ActivationTrace
    from .live.revive import redraw_units_ as redraw_units_
    from .live.revive import unit_chains as unit_chains
    from .live.revive import units_of as units_of
    from .live.stepping import Stage as Stage
    from .live.stepping import Stepper as Stepper
    from .live.stepping import loss_scale as loss_scale
    from .live.stepping import with_gradients as with_gradients
    from .live.treating import treat_ as treat_
    from .live.undo import Undo as Undo

_HOME = {
    "live.clip": "agc_factor total_norm",
    "live.context": "TreatmentContext",
    "live.forward_trace": "ForwardTrace trace_forward",
    "live.knowing": "MadeLines know_ spots",
    "live.revive": "ActivationTrace redraw_units_ unit_chains units_of",
    "live.stepping": "Stage Stepper loss_scale with_gradients",
    "live.treating": "treat_",
    "live.undo": "Undo",
}
__getattr__, __dir__ = lazily(__name__, _HOME)
