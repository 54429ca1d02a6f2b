"""Evidence in words: what each measured number is called and how it is written."""

from __future__ import annotations

from collections.abc import Mapping

from .figures import decades, number, share

#: How a number of evidence is called and written: (words, form), where the form is
#: "number", "share", "decades" (up or down) or "span" (decades without a direction).
LABELS: dict[str, tuple[str, str]] = {
    # gradient
    "decades": ("change over the layers", "span"),
    "underflow_share": ("share of values too small for the format", "share"),
    "gradient": ("gradient", "number"),
    "gradient_norm": ("gradient norm", "number"),
    "gradient_ratio": ("gradient relative to the weights", "number"),
    "nonfinite": ("values that are NaN or infinite", "number"),
    "subnormal_share": ("share of values too small for the format", "share"),
    # activation
    "saturated": ("share saturated", "share"),
    "dead": ("share of dead units", "share"),
    "entropy": ("attention entropy (1 is even)", "number"),
    "score": ("largest attention score", "number"),
    "spread_left": ("difference between inputs that is left", "number"),
    # start
    "trainable_depth": ("layers that signals survive", "number"),
    "depth": ("layers", "number"),
    "strain": ("strain (1 is the limit)", "number"),
    "decades_lost": ("gradient lost on the way", "span"),
    "decades_alike": ("difference between inputs lost", "span"),
    "decades_chaos": ("chaos", "span"),
    "decades_grown": ("growth of the signal's square", "span"),
    "signal_decades": ("change of the signal", "decades"),
    "chance": ("chance to learn", "share"),
    "gain": ("enlarged by a factor of", "number"),
    "samples": ("samples seen", "number"),
    "alike": ("share of units that have a twin", "share"),
    # update
    "update_ratio": ("update relative to the weights", "number"),
    "largest_update_ratio": ("largest update relative to the weights", "number"),
    "decades_below_peers": ("updates smaller than the other layers' by", "span"),
    # loss
    "loss_left": ("loss against guessing", "share"),
    "recent_fall": ("latest fall", "share"),
    "loss_reached": ("loss", "number"),
    "start_loss": ("loss at the start", "number"),
    "guessing_loss": ("loss of guessing", "number"),
    "best_loss": ("best loss", "number"),
    "last_loss": ("loss at the end", "number"),
    "peak_loss": ("highest loss", "number"),
    "jump": ("jump in units of the usual noise", "number"),
    "swings": ("swings", "number"),
    "swing": ("typical swing against what is to be won", "share"),
    "autocorrelation": ("correlation of one loss with the next", "number"),
    "steps_to_halve": ("steps to halve the loss at this rate", "number"),
    "learning_rate": ("learning rate", "number"),
    "loss_climb": ("climb of the loss, times the start's", "number"),
    # data
    "scale": ("root mean square of the values", "number"),
    "feature_ratio": ("largest over smallest feature", "number"),
    "feature_low": ("size of a small feature", "number"),
    "feature_high": ("size of the largest feature", "number"),
    "first_output": ("size of the first layer's output", "number"),
    "outlier": ("farthest value, in deviations", "number"),
    "target_rms": ("size of the target", "number"),
    "target_ratio": ("target over first predictions", "number"),
    "prediction_rms": ("size of the first predictions", "number"),
    # set-up
    "units": ("number of units", "number"),
    "softmaxes": ("softmaxes in a row", "number"),
    "row_sum": ("sum of a row of scores", "number"),
    "negative": ("share of negative values", "share"),
    "target_absmax": ("largest target", "number"),
    "target_negative": ("share of negative targets", "share"),
    "target_dims": ("dimensions of the target", "number"),
    "pairs": ("pairs of layers with no non-linearity between them", "number"),
    "parameters": ("parameters", "number"),
    "layers_unknown": ("layers that no module knows", "number"),
}

#: The same key says different things under different codes.
BY_CODE: dict[tuple[str, str], tuple[str, str]] = {
    ("EF101", "decades"): ("gradient lost on the way", "span"),
    ("EF102", "decades"): ("gradient gained on the way", "span"),
    ("EF206", "decades"): ("growth", "span"),
}
#: Facts that are told without their threshold, as it is none, one or obvious.
FACTS = frozenset(
    {
        *("nonfinite", "parameters", "pairs", "units", "softmaxes", "row_sum", "layers_unknown"),
        *("target_dims", "layers_affected"),
    }
)
#: Nothing to tell: the sentence has said it.
SILENT = frozenset({"gradient", "target_dims"})

_SHARES = ("share", "dead", "saturated", "zeros", "fraction")


def phrase(key: str, value: float, threshold: float | None = None, code: str = "") -> str:
    """One number in words: "size of the target 152 (threshold 10)"."""
    label, form = BY_CODE.get((code, key)) or LABELS.get(key) or _guess(key)
    text = f"{label} {_write(value, form)}"
    if threshold is None or key in FACTS:
        return text
    return f"{text} (threshold {_write(threshold, form)})"


def decisive(
    evidence: Mapping[str, float], threshold: Mapping[str, float], code: str = "", most: int = 2
) -> str:
    """The numbers that were held against a threshold, at most `most`, in the rule's order.

    Evidence without any threshold gives its first number; none at all gives "".
    """
    judged = [k for k in threshold if k in evidence]
    told = [k for k in judged if k not in SILENT][:most]
    if judged:
        return ", ".join(phrase(k, evidence[k], threshold[k], code) for k in told)
    return "".join(phrase(k, evidence[k], None, code) for k in list(evidence)[:1])


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
    if form == "span":
        return decades(value).removesuffix(" up").removesuffix(" down")
    return number(value)
