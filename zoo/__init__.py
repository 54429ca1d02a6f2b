"""The zoo: sick networks with their healthy twins, and healthy ones, on real data.

It serves tests and benchmarks, knows nothing of Evenflow, and is not in the wheel (`docs/zoo.md`).
"""

from .case import FAMILY as FAMILY
from .case import Case as Case
from .registry import REGISTRY as REGISTRY
from .registry import select as select
from .starts import STARTS as STARTS
from .starts import Start as Start
