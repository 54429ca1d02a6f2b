"""What the pages show: a run as answers to their questions, and their own modules. No torch."""

from .answers import at_step as at_step
from .answers import curves as curves
from .answers import grid as grid
from .answers import pictures as pictures
from .answers import site as site
from .answers import spoilt as spoilt
from .answers import summary as summary
from .bundle import script as script
from .cures import CURE_LARGEST as CURE_LARGEST
from .cures import CURE_SUFFIX as CURE_SUFFIX
from .cures import cure_line as cure_line
from .cures import read_cure as read_cure
from .exporting import FORMS as FORMS
from .exporting import exported as exported
from .fits import fit_line as fit_line
from .fits import is_model as is_model
from .fits import read_fit as read_fit
from .following import Followed as Followed
from .onefile import html as html
from .onefile import pair_html as pair_html
from .pyramid import Codes as Codes
from .pyramid import Range as Range
from .pyramid import coarser as coarser
from .pyramid import encode as encode
from .pyramid import range_of as range_of
from .words import words as words
