"""The ledger: which factor of the chain rule made a layer's error what it is.

Records, stored runs and words need no torch; the live part (`live`, `graph`, `naming`, `chain`)
does; `explain` alone enters it, and is fetched at first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .factors import Block as Block
from .factors import Branch as Branch
from .factors import Contribution as Contribution
from .factors import Factor as Factor
from .factors import Fork as Fork
from .ledger import Ledger as Ledger
from .render import elasticity as elasticity
from .render import fork_line as fork_line
from .render import headline as headline
from .render import parts_line as parts_line
from .render import place as place
from .render import sentences as sentences
from .render import signed as signed
from .render import text as text
from .stored import from_run as from_run
from .weight import ChainFactor as ChainFactor
from .weight import WeightChain as WeightChain

if TYPE_CHECKING:
    from .live import explain as explain

__getattr__, __dir__ = lazily(__name__, {"live": "explain"})
