"""What numbers are called that several rules measure; one rule's own stand in its file."""

from __future__ import annotations

from ..lang import N_
from .texts import Label

COMMON: dict[str, Label] = {
    label.name: label
    for label in (
        Label("gradient", N_("gradient"), silent=True),
        Label("saturated", N_("share saturated"), "share"),
        Label("dead", N_("share of dead units"), "share"),
        Label("depth", N_("layers")),
        Label("strain", N_("strain (1 is the limit)")),
        Label("decades_lost", N_("gradient lost on the way"), "span"),
        Label("decades_chaos", N_("chaos"), "span"),
        Label("decades_grown", N_("growth of the signal's square"), "span"),
        Label("update_ratio", N_("update relative to the weights")),
        Label("loss_left", N_("loss against guessing"), "share"),
        Label("start_loss", N_("loss at the start")),
        Label("last_loss", N_("loss at the end")),
        Label("learning_rate", N_("learning rate")),
        Label("scale", N_("root mean square of the values")),
        Label("parameters", N_("parameters"), fact=True),
        Label("layers", N_("layers")),
        Label("layers_affected", N_("layers affected"), fact=True),
        Label("sites_affected", N_("sites affected")),
        Label("steps_affected", N_("steps affected")),
        Label("batches_affected", N_("batches affected")),
        Label("batches", N_("batches")),
        Label("readings", N_("readings")),
        Label("rms", N_("rms")),
        Label("target_rms", N_("size of the target")),
        Label("elements", N_("elements")),
        Label("share_of_weights", N_("share of weights"), "share"),
    )
}
