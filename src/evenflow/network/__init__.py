"""What every layer knows of networks: operations, the graph of sites, optimizers. No torch."""

from .graph import Links as Links
from .graph import branches as branches
from .graph import chained as chained
from .graph import components as components
from .graph import depths as depths
from .graph import knots as knots
from .graph import reach as reach
from .graph import unrolled as unrolled
from .ops import ACTIVATIONS as ACTIVATIONS
from .ops import ADDITIONS as ADDITIONS
from .ops import BOUNDED as BOUNDED
from .ops import CLOSED as CLOSED
from .ops import FRAGILE as FRAGILE
from .ops import LAYERS as LAYERS
from .ops import MASKING as MASKING
from .ops import MIXING as MIXING
from .ops import PRODUCTS as PRODUCTS
from .ops import SATURATED as SATURATED
from .ops import WEIGHTED as WEIGHTED
from .ops import Op as Op
from .ops import of_function as of_function
from .ops import of_node as of_node
from .optimizers import has_momentum as has_momentum
from .optimizers import is_adaptive as is_adaptive
from .wiring import Wiring as Wiring
from .wrappers import unwrap as unwrap
