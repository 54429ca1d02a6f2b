"""What a cure came to, by its verdict, in a sentence."""

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
