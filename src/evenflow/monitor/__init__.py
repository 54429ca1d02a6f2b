"""Sessions: watch a training, count its steps, judge it."""

from .guard import NonFiniteError as NonFiniteError
from .observer import Observer as Observer
from .observer import SampledStep as SampledStep
from .saying import EvenflowWarning as EvenflowWarning
from .watching import Watch as Watch
from .watching import current as current
from .watching import watch as watch
