"""What numbers are called that several rules measure; one rule's own stand in its file."""

from __future__ import annotations

from ..lang import N_
from .base import EvidenceLabel

COMMON: dict[str, EvidenceLabel] = {
    label.name: label
    for label in (
        EvidenceLabel("gradient", N_("gradient"), silent=True),
        EvidenceLabel("saturated", N_("share saturated"), "share"),
        EvidenceLabel("dead", N_("share of dead units"), "share"),
        EvidenceLabel("depth", N_("layers")),
        EvidenceLabel("strain", N_("strain (1 is the limit)")),
        EvidenceLabel("decades_lost", N_("gradient lost on the way"), "span"),
        EvidenceLabel("decades_chaos", N_("chaos"), "span"),
        EvidenceLabel("decades_grown", N_("growth of the signal's square"), "span"),
        EvidenceLabel("update_ratio", N_("update relative to the weights")),
        EvidenceLabel("loss_left", N_("loss against guessing"), "share"),
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
        EvidenceLabel("rms", N_("rms")),
        EvidenceLabel("target_rms", N_("size of the target")),
        EvidenceLabel("elements", N_("elements")),
        EvidenceLabel("share_of_weights", N_("share of weights"), "share"),
    )
}
