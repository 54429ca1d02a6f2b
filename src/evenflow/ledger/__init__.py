"""The ledger: which factor of the chain rule made a layer's error what it is.

Records, stored runs and words need no torch; the live part (`live`, `graph`, `naming`, `chain`)
does and is reached by `evenflow.explain` only.
"""

from .record import Block as Block
from .record import Branch as Branch
from .record import Contribution as Contribution
from .record import Factor as Factor
from .record import Fork as Fork
from .record import Ledger as Ledger
from .stored import from_run as from_run
from .telling import headline as headline
from .telling import text as text
from .weight import ChainFactor as ChainFactor
from .weight import WeightChain as WeightChain
