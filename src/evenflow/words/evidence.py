"""Evidence in words: what each measured number is called and how it is written."""

from __future__ import annotations

from collections.abc import Mapping

from .figures import decades, number, share

#: How a number of evidence is called and written: (words, "number" | "share" | "decades").
LABELS: dict[str, tuple[str, str]] = {
    # loss
    "progress": ("share of the loss won so far", "share"),
    "fall": ("the loss has changed by", "share"),
    "start_loss": ("loss at the start", "number"),
    "best_loss": ("best loss", "number"),
    "last_loss": ("loss at the end", "number"),
    "chance_loss": ("loss of guessing", "number"),
    "steps": ("steps", "number"),
    "steps_seen": ("steps seen", "number"),
    "steps_to_go": ("steps it would still take at this rate", "number"),
    "rise": ("times the best loss", "number"),
    "jump": ("jump in units of the usual noise", "number"),
    "alternation": ("share of steps that turn back", "share"),
    "autocorrelation": ("correlation of one change with the next", "number"),
    "swing": ("swing of the loss from step to step", "share"),
    "update_ratio": ("size of an update relative to the weights", "number"),
    "largest_update_ratio": ("largest update relative to the weights", "number"),
    "cosine": ("cosine of the gradients of one step and the next", "number"),
    # data
    "scale": ("root mean square of the values", "number"),
    "feature_ratio": ("largest over smallest feature", "number"),
    "feature_low": ("smallest feature's size", "number"),
    "feature_high": ("largest feature's size", "number"),
    "outlier": ("farthest value, in robust standard deviations", "number"),
    "nonfinite": ("values that are NaN or infinite", "number"),
    "target_rms": ("size of the target", "number"),
    "prediction_rms": ("size of the first predictions", "number"),
    "target_ratio": ("size of the target over the first predictions", "number"),
    # set-up
    "row_sum": ("sum over each row of scores", "number"),
    "negative": ("share of negative values", "share"),
    "zeros": ("share of exact zeros", "share"),
    "last_dim": ("units that softmax runs over", "number"),
    "pairs": ("pairs of layers without a non-linearity between them", "number"),
    "parameters": ("parameters", "number"),
    "elements": ("weights", "number"),
}

_SHARES = ("share", "dead", "saturated", "zeros", "fraction")


def phrase(key: str, value: float, threshold: float | None = None) -> str:
    """One number in words: "size of the target 152 (threshold 10)"."""
    label, form = LABELS.get(key) or _guess(key)
    text = f"{label} {_write(value, form)}"
    return text if threshold is None else f"{text} (threshold {_write(threshold, form)})"


def decisive(evidence: Mapping[str, float], threshold: Mapping[str, float], most: int = 2) -> str:
    """The numbers that were held against a threshold, at most `most`, in the rule's order.

    Evidence without any threshold gives its first number; none at all gives "".
    """
    judged = [k for k in threshold if k in evidence][:most]
    if judged:
        return ", ".join(phrase(k, evidence[k], threshold[k]) for k in judged)
    return "".join(phrase(k, evidence[k]) for k in list(evidence)[:1])


def _guess(key: str) -> tuple[str, str]:
    words = key.replace("_", " ")
    if "decades" in key or key.startswith("log10"):
        return words, "decades"
    parts = key.split("_")
    return words, "share" if any(s in parts for s in _SHARES) else "number"


def _write(value: float, form: str) -> str:
    if form == "share":
        return share(value)
    if form == "decades":
        return decades(value)
    return number(value)
