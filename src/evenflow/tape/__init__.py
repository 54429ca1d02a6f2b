"""The tape: tensors -> readings. Autograd's graph is read where it stands; nothing is changed."""

from .calling import any_in_place as any_in_place
from .calling import skip_frame as skip_frame
from .calling import untraced as untraced
from .calling import watch_calls as watch_calls
from .catalogue import Catalogue as Catalogue
from .catalogue import unwrap as unwrap
from .isolation import heard as heard
from .isolation import traced as traced
from .isolation import unheard as unheard
from .labels import known_site as known_site
from .mode import heard_by_modes as heard_by_modes
from .numbers import local as local
from .numbers import mute as mute
from .ops import of_node as of_node
from .parameters import Update as Update
from .parameters import held_by_an_optimizer as held_by_an_optimizer
from .parameters import of_optimizer as of_optimizer
from .parameters import settings as settings
from .recorder import Recorder as Recorder
from .room import room as room
from .slab import Layouts as Layouts
from .slab import Pending as Pending
from .slab import Scalar as Scalar
from .slab import Slab as Slab
