"""Watch a training, count its steps, judge it."""

from .guard import NonFiniteError as NonFiniteError
from .observer import Observer as Observer
from .observer import SampledStep as SampledStep
from .processes import ranks as ranks
from .processes import with_rank as with_rank
from .runfile import default_path as default_path
from .saying import EvenflowWarning as EvenflowWarning
from .watching import Watch as Watch
from .watching import current as current
from .watching import watch as watch
