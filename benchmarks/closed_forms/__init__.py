"""Closed forms of a network's first forward and backward, operator by operator: mean-field theory.

What `foresight.py` holds the static forecast (draws of unseen weights) against; no command asks for
it, as attention, max pooling and recurrence have no closed form. docs/static-theory.md has the
formulas.
"""

from .graph import capture as capture
from .moments import BeyondTheory as BeyondTheory
from .theory import propagate as propagate
