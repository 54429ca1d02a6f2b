"""Evidence in words: what each measured number is called and how it is written."""

from __future__ import annotations

from collections.abc import Mapping

from ..faults import COMMON, REGISTRY, EvidenceLabel
from ..lang import _
from .figures import change, factor, number, share

_SHARES = ("share", "dead", "saturated", "zeros", "fraction")


def label(key: str, code: str = "") -> EvidenceLabel:
    """What a number is called and how it is written: as its rule says, else as all do."""
    own = REGISTRY[code].labels if code in REGISTRY else ()
    return next((each for each in own if each.name == key), COMMON.get(key)) or _guess(key)


def phrase(key: str, value: float, threshold: float | None = None, code: str = "") -> str:
    """One number in words: "size of the target 152 (threshold 10)"."""
    as_ = label(key, code)
    measured = write(value, as_.form)
    if threshold is None or as_.fact:
        return _("{label} {value}").format(label=_(as_.text), value=measured)
    return _("{label} {value} (threshold {limit})").format(
        label=_(as_.text), value=measured, limit=write(threshold, as_.form)
    )


def decisive(
    evidence: Mapping[str, float], threshold: Mapping[str, float], code: str = "", most: int = 2
) -> str:
    """The numbers that were held against a threshold, at most `most`, in the rule's order.

    Evidence without any threshold gives its first number; none at all gives "".
    """
    judged = [k for k in threshold if k in evidence]
    spoken = [k for k in judged if not label(k, code).silent][:most]
    if judged:
        return _(", ").join(phrase(k, evidence[k], threshold[k], code) for k in spoken)
    return "".join(phrase(k, evidence[k], None, code) for k in list(evidence)[:1])


def _guess(key: str) -> EvidenceLabel:
    words = key.replace("_", " ")
    if "decades" in key or key.startswith("log10"):
        return EvidenceLabel(key, words, "change")
    parts = key.split("_")
    return EvidenceLabel(key, words, "share" if any(s in parts for s in _SHARES) else "number")


def write(value: float, form: str) -> str:
    """A number in one of the forms of a `EvidenceLabel`."""
    return {"share": share, "change": change, "factor": factor}.get(form, number)(value)
