"""What numbers are called that several rules measure; one rule's own stand in its file."""

from __future__ import annotations

from ..lang import N_
from .base import EvidenceLabel

COMMON: dict[str, EvidenceLabel] = {
    label.name: label
    for label in (
        EvidenceLabel("gradient", N_("gradient"), silent=True),
        EvidenceLabel("saturated", N_("share of outputs on the flat part"), "share"),
        EvidenceLabel("dead", N_("share of dead units"), "share"),
        EvidenceLabel("depth", N_("layers")),
        EvidenceLabel("strain", N_("depth against what this start bears (1 is the limit)")),
        EvidenceLabel("decades_lost", N_("gradient smaller than near the loss by"), "factor"),
        EvidenceLabel(
            "decades_chaos", N_("small differences between inputs enlarged by"), "factor"
        ),
        EvidenceLabel("decades_grown", N_("square of the signal enlarged by"), "factor"),
        EvidenceLabel("update_ratio", N_("size of an update relative to the weights")),
        EvidenceLabel("loss_left", N_("loss against that of guessing"), "share"),
        EvidenceLabel("start_loss", N_("loss at the start")),
        EvidenceLabel("last_loss", N_("loss at the end")),
        EvidenceLabel("learning_rate", N_("learning rate")),
        EvidenceLabel("scale", N_("root mean square of the values")),
        EvidenceLabel("parameters", N_("parameters"), fact=True),
        EvidenceLabel("layers", N_("layers")),
        EvidenceLabel("calls", N_("time steps")),
        EvidenceLabel("layers_affected", N_("layers affected"), fact=True),
        EvidenceLabel("sites_affected", N_("sites affected")),
        EvidenceLabel("steps_affected", N_("steps affected")),
        EvidenceLabel("batches_affected", N_("batches affected")),
        EvidenceLabel("batches", N_("batches")),
        EvidenceLabel("readings", N_("readings")),
        EvidenceLabel("rms", N_("size (root mean square)")),
        EvidenceLabel("target_rms", N_("size of the target")),
        EvidenceLabel("elements", N_("elements")),
        EvidenceLabel("share_of_weights", N_("share of weights"), "share"),
    )
}
