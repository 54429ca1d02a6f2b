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
    "save_png": N_("Save as PNG"),
    "save_csv": N_("Save as CSV"),
    "network": N_("Network"),
    "heatmap": N_("Layers × steps"),
    "site": N_("Layer"),
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
    "language": N_("Language"),
    "keys": N_("Arrow keys move, + and - zoom, 0 shows the whole run, Enter opens a layer."),
    "back": N_("Back"),
}


def words() -> dict[str, str]:
    """By key, in the language spoken now."""
    return {"code": language(), **{key: _(text) for key, text in WORDS.items()}}
