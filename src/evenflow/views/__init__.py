"""What the pages show: a run as answers to their questions, and their own modules. No torch."""

from .answers import at_step as at_step
from .answers import curves as curves
from .answers import grid as grid
from .answers import pictures as pictures
from .answers import site as site
from .answers import spoilt as spoilt
from .answers import summary as summary
from .blocks import coloured as coloured
from .blocks import picture as picture
from .blocks import rows as rows
from .following import Followed as Followed
from .pulse import Pulse as Pulse
from .pulse import heights as heights
from .pulse import pulse_of as pulse_of
from .pulse import sparkline as sparkline
from .pulse import worst as worst
from .pyramid import Codes as Codes
from .pyramid import Range as Range
from .pyramid import coarser as coarser
from .pyramid import encode as encode
from .pyramid import range_of as range_of
from .strip import Strip as Strip
from .strip import strip_of as strip_of
from .words import words as words
