"""ReZero and SkipInit: x + α F(x) with α = 0, so that at birth the network is the identity.

Residual networks get a scalar at the end of each branch; plain ones get a skip around each layer
with as many outputs as inputs, activation and all. Cures every pathology of depth (50 plain layers:
94 % to 97 % whatever the activation). Step 0: it changes what a trained network computes. New
scalar parameters join the optimizer. Fails: layers that change the width get no skip. Source:
Bachlechner et al. 2021, arXiv:2003.04887; De & Smith 2020, arXiv:2002.10444.
"""

from __future__ import annotations

from dataclasses import replace

from .base import Entry, Facts, nothing


def _refuse(parsed: None, facts: Facts) -> str | None:
    if facts.step > 0:
        return "the blocks it switches off have already learned."
    if facts.attention and facts.norms and facts.skips and not facts.deep:
        return None
    if not facts.skips and not facts.square:
        return "no hidden layer has as many outputs as inputs, and there is no branch to scale."
    if facts.recurrent and not facts.skips:
        return "a skip through time is not what a recurrent layer needs: use recurrent=lstm."
    return None


REZERO = Entry(
    kind="rezero",
    about="skips that start at zero: every block begins as the identity",
    examples=("",),
    edit=lambda parsed: (
        "in each block: self.alpha = torch.nn.Parameter(torch.zeros(())), and in its forward: "
        "return x + self.alpha * f(x)"
    ),
    parse=nothing,
    refuse=_refuse,
    leaves=lambda parsed, facts: replace(facts, skips=True),
    apply="rezero:apply",
)
ENTRIES = (REZERO,)
