"""ReDo: dead and dormant units drawn anew.

A unit whose score s_i = E|h_i| / mean_k E|h_k| is at most τ gets new incoming weights, bias 0, and
outgoing weights 0; the optimizer forgets its moments there. At τ = 0 the outputs stay the same on
the batch that showed the units dead. Any time. Fails: units die again under the rate that killed
them. Source: Sokar et al. 2023, arXiv:2302.12902.
"""

from __future__ import annotations

from .base import Entry, Facts, number, shown


def _refuse(threshold: float, facts: Facts) -> str | None:
    if not facts.activations:
        return "the network has no hidden activation."
    if not set(facts.activations) & {"relu", "relu6", "leaky_relu", "elu", "gelu", "silu"}:
        return f"{facts.activation} units do not switch off; revival is for rectifiers."
    return None


REVIVE = Entry(
    kind="revive",
    about="dead units drawn anew, read by nobody at first",
    examples=("0", "0.025"),
    edit=lambda threshold: (
        "every few hundred steps: evenflow.treat_(model, optimizer, "
        f"'revive={shown(threshold)}', batch=x)"
    ),
    parse=lambda text: number(text, above=-1e-300),
    refuse=_refuse,
    apply="revive:apply",
)
ENTRIES = (REVIVE,)
