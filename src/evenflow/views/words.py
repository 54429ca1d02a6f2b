"""The page's own words in a language; sentences of findings come with the findings."""

from __future__ import annotations

from ..lang import N_, _, language

WORDS = {
    "runs": N_("Runs"),
    "search": N_("Search"),
    "no_runs": N_("No run yet. Make one with: evenflow run train.py"),
    "healthy": N_("Healthy"),
    "warning": N_("Warning"),
    "sick": N_("Sick"),
    "unjudged": N_("Not judged"),
    "no-fault": N_("Filtered"),
    "unreadable": N_("Unreadable"),
    "reading": N_("reading ..."),
    "live": N_("live"),
    "steps": N_("steps"),
    "step": N_("step"),
    "loss": N_("loss"),
    "lr": N_("learning rate"),
    "grad_norm": N_("gradient norm"),
    "findings": N_("Findings"),
    "what_to_do": N_("What to do"),
    "picture": N_("Show"),
    "not_finite": N_("not finite"),
    "zero": N_("exactly zero"),
    "not_measured": N_("not measured"),
    "open_all": N_("Open all"),
    "close_all": N_("Close all"),
    "whole": N_("Whole run"),
    "save_as": N_("Save as ..."),
    "not_kept": N_("This file does not keep that; evenflow ui shows it."),
    "network": N_("Network"),
    "heatmap": N_("Layers × steps"),
    "site": N_("Layer"),
    "network_hint": N_(
        "A closed box is a module: click to open it, and its name above to close it. At a fork "
        "each branch shows its share of the gradient that comes back."
    ),
    "origin": N_("not finite here first"),
    "through_time": N_("Through time"),
    "time_hint": N_(
        "Each row is a call of this layer, one a time step: the first on top, the last, next to "
        "the loss, at the bottom."
    ),
    "flow_said": N_(
        "Over {steps} time steps the gradient gains {decades} decades from the last one back to "
        "the first (latest measurement)."
    ),
    "flow": N_("gain through time, in decades"),
    "forecast": N_("Forecast"),
    "forecast_hint": N_(
        "Gradient by layer at the first step, against the last layer with weights: foreseen (with "
        "two standard deviations) and measured."
    ),
    "foreseen": N_("foreseen"),
    "measured": N_("measured"),
    "error_bar": N_("± decades"),
    "play": N_("Play the backward pass"),
    "compare": N_("Compare"),
    "changed": N_("Changed"),
    "least": N_("the least"),
    "largest": N_("the largest"),
    "of_joined": N_("Where steps are joined, show"),
    "no_network": N_("No operation was seen."),
    "from_loss": N_("from the loss back"),
    "one_scale": N_("Both on one scale."),
    "difference": N_("Difference"),
    "gone": N_("The run can no longer be read."),
    "difference_hint": N_(
        "The second less the first: red where it is larger, blue where it is smaller."
    ),
    "nothing_shared": N_("No layer of the two has the same name."),
    "decades": N_("decades"),
    "reading_name": N_("Reading"),
    "over_steps": N_("over the steps"),
    "spread_of": N_("how often"),
    "latest": N_("latest"),
    "sizes": N_("Sizes of the output: largest, root mean square, median"),
    "units": N_("Units that gradient reaches"),
    "units_said": N_(
        "{dead} of {all} units got no gradient in the latest batches (black); the brighter, the "
        "more batches reached it. As it stood when the training ended."
    ),
    "skip": N_("Skip to the content"),
    "where": N_("Where you are"),
    "language": N_("Language"),
    "keys": N_("Arrow keys move, + and - zoom, 0 shows the whole run, Enter opens a layer."),
    "back": N_("Back"),
}


def words() -> dict[str, str]:
    """By key, in the language spoken now."""
    return {"code": language(), **{key: _(text) for key, text in WORDS.items()}}
