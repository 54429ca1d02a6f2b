"""Query-key normalisation: attention whose scores do not grow with its weights.

Each head's queries and keys have rms 1 times a gain per component, so that no score grows with the
weights at all. Step 0, as it is another function. New parameters join the optimizer. Fails: slower
to sharpen where that is right. Source: Henry et al. 2020, arXiv:2010.04245; Dehghani et al. 2023,
arXiv:2302.05442.
"""

from .attend import at_the_start
from .base import Entry, nothing

QK = Entry(
    kind="attention",
    method="qk-norm",
    about="queries and keys normalised before their scores",
    examples=("qk-norm",),
    edit=lambda v: (
        "in each attention, before the scores: q, k = q_norm(q), k_norm(k), with torch.nn.RMSNorm("
        "head size) for each"
    ),
    parse=nothing,
    refuse=at_the_start,
    apply="qk_norm:apply",
)
ENTRIES = (QK,)
