"""Hidden biases set to one number: rectifiers that begin on the side where gradients pass.

Negative biases can switch every unit off at birth (EF603). Step 0. Fails: a large positive bias
makes rectifiers linear. Source: Goodfellow et al. 2016, Deep Learning, section 6.3.1.
"""

from __future__ import annotations

from .base import Entry, Facts, number, shown


def _refuse(parsed: float, facts: Facts) -> str | None:
    if facts.step > 0:
        return "the biases have been learned."
    return None if facts.hidden else "the network has no hidden layer."


BIAS = Entry(
    kind="bias",
    about="hidden biases set to one number",
    examples=("0", "0.1"),
    edit=lambda v: f"torch.nn.init.constant_(layer.bias, {shown(v)}) for each hidden layer",
    parse=number,
    refuse=_refuse,
    apply="bias:apply",
)
ENTRIES = (BIAS,)
