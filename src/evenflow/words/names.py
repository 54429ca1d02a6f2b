"""What each code and each cause is called."""

from __future__ import annotations

from ..faults import CAUSES, REGISTRY, STATES
from ..lang import _


def title(code: str) -> str:
    """Headline of a code; the code itself where it is not known (a newer run file)."""
    return _(REGISTRY[code].title) if code in REGISTRY else code


def cause(what: str) -> str:
    """A code, a cause or an end state in words; "" stays ""."""
    if what in REGISTRY:
        return _(REGISTRY[what].as_cause) or _lower(title(what))
    if what in CAUSES or what in STATES:
        return _((CAUSES.get(what) or STATES[what]).text)
    return what.replace("-", " ")


def event(what: str) -> str:
    """The same as a later link of a chain."""
    known = REGISTRY.get(what) or STATES.get(what)
    return _(known.link) if known and known.link else cause(what)


def _lower(headline: str) -> str:
    """Headline inside a sentence; "NaN" keeps its capitals."""
    return headline if headline.startswith("NaN") else headline[0].lower() + headline[1:]
