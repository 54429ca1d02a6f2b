"""The page's own words in a language; sentences of findings come with the findings."""

from __future__ import annotations

from ..lang import N_, _, language
from ..words import CURE_STAGES, CURE_VERDICTS

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
    "by_hand": N_("By hand"),
    "by_hand_hint": N_(
        "Step through with the buttons or the left and right arrow keys: forward, the error, back, "
        "the update. Click a weight, an input or a unit (its bias) to move it."
    ),
    "sample": N_("sample"),
    "step_on": N_("Step on"),
    "step_back": N_("Step back"),
    "start_again": N_("Start again"),
    "update": N_("update"),
    "update_hint": N_("The next step on updates every weight: Δw = −η ∂E/∂w + α Δw before."),
    "not_played": N_("This activation cannot be played here"),
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
    # -- a cure ------------------------------------------------------------------------------------
    "a_run": N_("Run"),
    "a_cure": N_("Cure"),
    "a_fit": N_("Fit"),
    "cured": N_("Cured"),
    "improved": N_("Improved"),
    "unproven": N_("Not proven"),
    "uncured": N_("Not cured"),
    "out-of-budget": N_("Budget ended"),
    "edit": N_("Edit proposed"),
    "suffered_from": N_("Suffered from"),
    "at": N_("at"),
    "treatment": N_("Treatment"),
    "untreated": N_("(untreated)"),
    "before": N_("before"),
    "after": N_("after"),
    "gain_by_seed": N_("gain, paired by seed"),
    "larger_better": N_("larger is better"),
    "smaller_better": N_("smaller is better"),
    "proof": N_("Proof: each seed before and after"),
    "better_on": N_("better on {wins} of {seeds} seeds"),
    "loss_both": N_("Loss before and after, on the same seed"),
    "compare_both": N_("Compare the layers before and after"),
    "open_before": N_("The run before"),
    "open_after": N_("The run after"),
    "tried": N_("What was tried"),
    "tried_hint": N_(
        "A dot is a mean over seeds, its bar the 95 % interval, where there are two seeds or more. "
        "Stages of fewer steps are not on one scale with the whole length."
    ),
    "stage": N_("Stage"),
    "seeds": N_("seeds"),
    "mean": N_("mean"),
    "interval": N_("95 % interval"),
    "seconds": N_("seconds"),
    "ended": N_("ended"),
    "ended_finished": N_("to its end"),
    "ended_horizon": N_("shortened"),
    "ended_refused": N_("refused"),
    "ended_error": N_("failed"),
    "ended_time": N_("too slow"),
    "ended_killed": N_("stopped"),
    "refused": N_("Refused"),
    "edits": N_("As an edit of your script"),
    "proposed": N_("Proposed, not tried (outside the model)"),
    "patch": N_("Patch"),
    "not_controlled": N_("Not controlled"),
    "as_line": N_("As one line, before the first training step"),
    "cut": N_("There were too many trials to keep them all here."),
    # -- a fit -------------------------------------------------------------------------------------
    "result": N_("Result"),
    "learning_curves": N_("Learning curves"),
    "by_epoch": N_("Loss by epoch"),
    "training_rows": N_("training rows"),
    "validation_rows": N_("validation rows"),
    "best_constant": N_("best constant prediction"),
    "epoch": N_("epoch"),
    "kept_epoch": N_("Kept are the weights of epoch {kept} of {epochs}: {why}."),
    "learned": N_(
        "The network learned: its loss is {loss}, the best constant prediction's {base}."
    ),
    "unlearned": N_(
        "The network did no better than a constant: its loss is {loss}, that one's {base}."
    ),
    "row_costs": N_("Loss of a row held out: {cost}; of guessing there: {guess}."),
    "seen_and_done": N_("What was seen and done"),
    "nothing_wrong": N_("Nothing was wrong and nothing had to be treated."),
    "columns": N_("Columns"),
    "column": N_("Column"),
    "kind": N_("Kind"),
    "read": N_("Read"),
    "why": N_("Why"),
    "yes": N_("yes"),
    "no": N_("no"),
    "kind_number": N_("number"),
    "kind_category": N_("category"),
    "kind_date": N_("date"),
    "kind_text": N_("text"),
    "kind_id": N_("identifier"),
    "kind_constant": N_("constant"),
    "kind_empty": N_("empty"),
    "left_columns": N_("... and {count} more; model.json lists all."),
    "settings": N_("Settings"),
    "stopped_epochs": N_("all epochs were run"),
    "stopped_error": N_("the error fell below the level asked for"),
    "stopped_patience": N_("no better epoch came"),
    "stopped_gradient": N_("the gradient fell below the level asked for"),
    "stopped_time": N_("the time was up"),
    "stopped_diverged": N_("the loss was not finite; the last good weights are kept"),
}
#: A cure's sentences: "said_" and the verdict, "stage_" and the stage.
_SAID = {f"said_{verdict}": text for verdict, text in CURE_VERDICTS.items()}
_SAID |= {f"stage_{stage}": text for stage, text in CURE_STAGES.items()}


def words() -> dict[str, str]:
    """By key, in the language spoken now."""
    return {"code": language(), **{key: _(text) for key, text in (WORDS | _SAID).items()}}
