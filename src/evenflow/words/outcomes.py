"""What a cure came to, by its verdict, and what its stages are."""

from __future__ import annotations

from ..lang import N_

CURE_VERDICTS = {
    "healthy": N_("healthy, nothing to do"),
    "cured": N_("cured, proven over {n} seeds"),
    "improved": N_("improved; not proven beyond chance"),
    "unproven": N_("promising; not proven"),
    "uncured": N_("nothing that was tried is better than the script as it is"),
    "out-of-budget": N_("the budget ended before all treatments were tried; none so far is better"),
    "edit": N_("no treatment of the model mends it; a change to the script is proposed"),
}
CURE_STAGES = {
    "copy": N_("copying the folder"),
    "watch": N_("running the script as it is, watched"),
    "screen": N_("each treatment by itself"),
    "rates": N_("down the ladder of learning rates"),
    "combine": N_("combinations of the best"),
    "race": N_("the best over a longer horizon"),
    "refine": N_("learning rates around the best"),
    "final": N_("the best over the whole length"),
    "choice": N_("the best over another seed"),
    "confirm": N_("proof over seeds that had no say in the choice"),
    "patch": N_("the script with the treatment written into it, on the same seeds"),
}
