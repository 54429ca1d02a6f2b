"""The zoo: sick networks with their healthy twins, and healthy ones, on real data."""

from .case import FAMILY as FAMILY
from .case import Case as Case
from .registry import REGISTRY as REGISTRY
from .registry import select as select
from .starts import STARTS as STARTS
from .starts import Start as Start
