"""Evidence in words: what each measured number is called and how it is written."""

from __future__ import annotations

from collections.abc import Mapping

from ..lang import N_, _
from .figures import decades, number, share, span

#: How a number of evidence is called and written: (words, form), where the form is
#: "number", "share", "decades" (up or down) or "span" (decades without a direction).
LABELS: dict[str, tuple[str, str]] = {
    # gradient
    "decades": (N_("change over the layers"), "span"),
    "underflow_share": (N_("share of values too small for the format"), "share"),
    "gradient": (N_("gradient"), "number"),
    "gradient_norm": (N_("gradient norm"), "number"),
    "gradient_ratio": (N_("gradient relative to the weights"), "number"),
    "nonfinite": (N_("values that are NaN or infinite"), "number"),
    "growth": (N_("growth before that"), "decades"),
    "subnormal_share": (N_("share of values too small for the format"), "share"),
    # activation
    "saturated": (N_("share saturated"), "share"),
    "dead": (N_("share of dead units"), "share"),
    "entropy": (N_("attention entropy (1 is even)"), "number"),
    "score": (N_("largest attention score"), "number"),
    "spread_left": (N_("difference between inputs that is left"), "number"),
    # start
    "trainable_depth": (N_("layers that signals survive"), "number"),
    "depth": (N_("layers"), "number"),
    "strain": (N_("strain (1 is the limit)"), "number"),
    "decades_lost": (N_("gradient lost on the way"), "span"),
    "decades_alike": (N_("difference between inputs lost"), "span"),
    "decades_chaos": (N_("chaos"), "span"),
    "decades_grown": (N_("growth of the signal's square"), "span"),
    "signal_decades": (N_("change of the signal"), "decades"),
    "chance": (N_("chance to learn"), "share"),
    "gain": (N_("enlarged by a factor of"), "number"),
    "samples": (N_("samples seen"), "number"),
    "alike": (N_("share of units that have a twin"), "share"),
    # update
    "update_ratio": (N_("update relative to the weights"), "number"),
    "largest_update_ratio": (N_("largest update relative to the weights"), "number"),
    "decades_below_peers": (N_("updates smaller than the other layers' by"), "span"),
    # loss
    "loss_left": (N_("loss against guessing"), "share"),
    "promised": (N_("fall promised by gradients, times what was to be won"), "number"),
    "recent_fall": (N_("latest fall"), "share"),
    "loss_reached": (N_("loss"), "number"),
    "start_loss": (N_("loss at the start"), "number"),
    "guessing_loss": (N_("loss of guessing"), "number"),
    "best_loss": (N_("best loss"), "number"),
    "last_loss": (N_("loss at the end"), "number"),
    "peak_loss": (N_("highest loss"), "number"),
    "jump": (N_("jump in units of the usual noise"), "number"),
    "swings": (N_("swings"), "number"),
    "swing": (N_("typical swing against what is to be won"), "share"),
    "autocorrelation": (N_("correlation of one loss with the next"), "number"),
    "steps_to_halve": (N_("steps to halve the loss at this rate"), "number"),
    "learning_rate": (N_("learning rate"), "number"),
    "loss_climb": (N_("climb of the loss, times the start's"), "number"),
    # data
    "scale": (N_("root mean square of the values"), "number"),
    "feature_ratio": (N_("largest over smallest feature"), "number"),
    "feature_low": (N_("size of a small feature"), "number"),
    "feature_high": (N_("size of the largest feature"), "number"),
    "first_output": (N_("size of the first layer's output"), "number"),
    "outlier": (N_("farthest value, in deviations"), "number"),
    "target_rms": (N_("size of the target"), "number"),
    "target_ratio": (N_("target over first predictions"), "number"),
    "prediction_rms": (N_("size of the first predictions"), "number"),
    # set-up
    "units": (N_("number of units"), "number"),
    "softmaxes": (N_("softmaxes in a row"), "number"),
    "row_sum": (N_("sum of a row of scores"), "number"),
    "negative": (N_("share of negative values"), "share"),
    "target_absmax": (N_("largest target"), "number"),
    "target_negative": (N_("share of negative targets"), "share"),
    "backward_passes": (N_("backward passes without an update"), "number"),
    "zero_updates": (N_("updates of exactly zero"), "number"),
    "pooled": (N_("values behind each mean and variance"), "number"),
    "norms": (N_("normalisations concerned"), "number"),
    "comparisons": (N_("comparisons made"), "number"),
    "predictions": (N_("predictions"), "number"),
    "targets": (N_("targets"), "number"),
    "pairs": (N_("pairs of layers with no non-linearity between them"), "number"),
    "parameters": (N_("parameters"), "number"),
    "layers_unknown": (N_("layers that no module knows"), "number"),
    # how much of it
    "layers": (N_("layers"), "number"),
    "layers_affected": (N_("layers affected"), "number"),
    "layers_still": (N_("layers still"), "number"),
    "sites_affected": (N_("sites affected"), "number"),
    "steps_affected": (N_("steps affected"), "number"),
    "batches_affected": (N_("batches affected"), "number"),
    "batches": (N_("batches"), "number"),
    "readings": (N_("readings"), "number"),
    "calls": (N_("calls"), "number"),
    "spikes": (N_("spikes"), "number"),
    "flat_steps": (N_("flat steps"), "number"),
    "attentions": (N_("attentions"), "number"),
    "elements": (N_("elements"), "number"),
    "share_of_weights": (N_("share of weights"), "share"),
    "whole_network": (N_("whole network"), "number"),
    "origin_seen": (N_("origin seen"), "number"),
    "forward": (N_("forward"), "number"),
    "absmax": (N_("absmax"), "number"),
    "rms": (N_("rms"), "number"),
    "data_rms": (N_("data rms"), "number"),
    "data_spread": (N_("data spread"), "number"),
    "least_spread": (N_("least spread"), "number"),
    "decades_over_time": (N_("decades over time"), "decades"),
    "peers_update_ratio": (N_("peers update ratio"), "number"),
    "rate_left": (N_("rate left"), "number"),
    "straight_activations": (N_("activations that are linear on what they see"), "number"),
    "memory": (N_("time steps remembered"), "number"),
    "base_loss": (N_("base loss"), "number"),
    "bits": (N_("bits"), "number"),
    "zero_share": (N_("zero share"), "share"),
    "zeros": (N_("zeros"), "share"),
}

#: The same key says different things under different codes.
BY_CODE: dict[tuple[str, str], tuple[str, str]] = {
    ("EF103", "nonfinite"): (N_("values that are NaN or infinite: at least"), "number"),
    ("EF101", "decades"): (N_("gradient lost on the way"), "span"),
    ("EF102", "decades"): (N_("gradient gained on the way"), "span"),
    ("EF102", "calls"): (N_("time steps"), "number"),
    ("EF101", "calls"): (N_("time steps"), "number"),
    ("EF206", "decades"): (N_("growth"), "span"),
}
#: Facts that are told without their threshold, as it is none, one or obvious.
FACTS = frozenset(
    {
        *("nonfinite", "parameters", "pairs", "units", "softmaxes", "row_sum", "layers_unknown"),
        *("layers_affected", "backward_passes", "zero_updates"),
    }
)
#: Nothing to tell: the sentence has said it.
SILENT = frozenset({"gradient"})

_SHARES = ("share", "dead", "saturated", "zeros", "fraction")


def phrase(key: str, value: float, threshold: float | None = None, code: str = "") -> str:
    """One number in words: "size of the target 152 (threshold 10)"."""
    label, form = BY_CODE.get((code, key)) or LABELS.get(key) or _guess(key)
    measured = write(value, form)
    if threshold is None or key in FACTS:
        return _("{label} {value}").format(label=_(label), value=measured)
    return _("{label} {value} (threshold {limit})").format(
        label=_(label), value=measured, limit=write(threshold, form)
    )


def decisive(
    evidence: Mapping[str, float], threshold: Mapping[str, float], code: str = "", most: int = 2
) -> str:
    """The numbers that were held against a threshold, at most `most`, in the rule's order.

    Evidence without any threshold gives its first number; none at all gives "".
    """
    judged = [k for k in threshold if k in evidence]
    told = [k for k in judged if k not in SILENT][:most]
    if judged:
        return _(", ").join(phrase(k, evidence[k], threshold[k], code) for k in told)
    return "".join(phrase(k, evidence[k], None, code) for k in list(evidence)[:1])


def _guess(key: str) -> tuple[str, str]:
    words = key.replace("_", " ")
    if "decades" in key or key.startswith("log10"):
        return words, "decades"
    parts = key.split("_")
    return words, "share" if any(s in parts for s in _SHARES) else "number"


def write(value: float, form: str) -> str:
    """A number in one of the forms of `LABELS`."""
    return {"share": share, "decades": decades, "span": span}.get(form, number)(value)
