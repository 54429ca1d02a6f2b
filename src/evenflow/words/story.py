"""A finding as one or two sentences: what, where, since when, how much, why, and the chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ..schema import Finding, Link, Run, Severity
from .catalogue import TITLES, cause
from .evidence import decisive
from .places import parameters, sites

#: What happened; "{at}" takes " at <place>", or nothing where there is no place.
_WHAT: dict[str, str] = {
    "EF101": "The gradient vanishes{at}",
    "EF102": "The gradient explodes{at}",
    "EF103": "NaN or infinity appears{at}",
    "EF104": "The gradient is exactly zero{at}",
    "EF105": "The gradient is too small for its number format{at}",
    "EF201": "The activation is saturated{at}",
    "EF202": "Units are dead{at}",
    "EF203": "The network is paralysed{at}, saturated and unable to leave",
    "EF204": "Attention has collapsed{at}",
    "EF205": "All inputs look alike{at}",
    "EF206": "Activations grow{at}",
    "EF301": "Learning has stalled{at}",
    "EF302": "Updates are too large{at}",
    "EF401": "The loss is stuck{at}",
    "EF402": "The loss diverges{at}",
    "EF403": "The loss swings up and down from step to step{at}",
    "EF404": "The loss falls, but too slowly{at}",
    "EF501": "The input is not scaled{at}",
    "EF502": "The input holds extreme outliers{at}",
    "EF503": "The data hold NaN or infinity{at}",
    "EF504": "The target is not scaled to what the network puts out{at}",
    "EF601": "Weights are too small at the start{at}",
    "EF602": "Weights are too large at the start{at}",
    "EF603": "Units are dead at birth{at}",
    "EF604": "The network is too deep for its initialisation{at}",
    "EF605": "Units start alike and stay alike{at}",
    "EF701": "The output and the loss do not fit each other{at}",
    "EF702": "There is no non-linearity between layers{at}",
    "EF703": "The learning rate is too high{at}",
    "EF704": "Parameters are not trained{at}",
}

#: Short forms for links of a chain.
_LINKS: dict[str, str] = {
    "EF101": "gradient vanished",
    "EF102": "gradient exploded",
    "EF103": "NaN or infinity",
    "EF104": "gradient zero",
    "EF105": "gradient underflowed",
    "EF201": "saturated",
    "EF202": "units dead",
    "EF203": "paralysed",
    "EF204": "attention collapsed",
    "EF205": "all inputs alike",
    "EF206": "activations grew",
    "EF301": "stalled",
    "EF302": "update too large",
    "EF401": "loss stuck",
    "EF402": "loss diverged",
    "EF403": "loss swings",
    "EF404": "learning slow",
    "frozen": "frozen",
    "dead": "units dead",
    "non-finite": "NaN or infinity",
    "nan": "NaN or infinity",
    "stuck": "loss stuck",
}

#: States at the end of a chain: their step is the last one seen, not the first.
_STATES = ("frozen", "dead")
#: Faults of the data and the set-up are there or not: no step needs telling if it is the first.
_TIMELESS = ("EF5", "EF7")


def tell(finding: Finding, run: Run) -> str:
    """One or two plain sentences about a finding of this run.

    The first says what, where, since when and the number against its threshold; the second
    says why, as a chain where there is one. Evidence that is missing is not spoken of; a code
    that is not known is told by its name and numbers.
    """
    first = _what(finding, run) + _since(finding, run)
    numbers = decisive(finding.evidence, finding.threshold, finding.code)
    sentences = [f"{first}: {numbers}." if numbers else f"{first}."]
    why = _why(finding, run)
    if why:
        sentences.append(why)
    return " ".join(sentences)


def told(findings: Iterable[Finding], run: Run) -> list[Finding]:
    """The same findings with `message` filled in."""
    return [dataclasses.replace(f, message=tell(f, run)) for f in findings]


def _what(finding: Finding, run: Run) -> str:
    place = sites(finding.sites, run) or parameters(finding.params)
    at = f" at {place}" if place else ""
    if finding.code == "EF402" and finding.severity < Severity.error:
        return f"The loss spikes and comes back{at}"
    if finding.code in _WHAT:
        return _WHAT[finding.code].format(at=at)
    return f"{finding.code} {finding.name}{at}"


def _since(finding: Finding, run: Run) -> str:
    first, last = finding.first_step, finding.last_step
    if finding.code[:3] in _TIMELESS and first <= 0:
        return ""
    # Sampled rows lie apart: what the last of them shows is taken as lasting.
    lasting = last >= min(
        (int(s[-1]) for s in (run.steps, run.curve_steps) if len(s)), default=last
    )
    if lasting:
        return " from the first step" if first <= 0 else f" since step {first:,}"
    if first == last:
        return f" at step {first:,}"
    return f" from step {first:,} to {last:,}"


def _why(finding: Finding, run: Run) -> str:
    links = _merged([link for link in finding.chain if link.what], run)
    if len(links) > 1:
        return "Chain: " + " -> ".join(_link(link, run) for link in links) + "."
    reason = finding.cause or (links[0].what if links and links[0].role == "cause" else "")
    if not reason or reason in (finding.code, finding.name):
        return ""
    code = f" ({reason})" if reason in TITLES else ""
    return f"Cause: {cause(reason)}{code}."


def _merged(links: list[Link], run: Run) -> list[Link]:
    """Links without those that only repeat the one before ("units dead", then "dead")."""
    out: list[Link] = []
    for link in links:
        if out and _event(out[-1]) == _event(link) and _at(out[-1], run) == _at(link, run):
            out[-1] = out[-1]._replace(role="end" if out[-1].role == "event" else out[-1].role)
        else:
            out.append(link)
    return out


def _event(link: Link) -> str:
    return cause(link.what) if link.role == "cause" else _LINKS.get(link.what) or cause(link.what)


def _at(link: Link, run: Run) -> str:
    """The place, unless the words hold it already (the data, the optimizer's rate)."""
    if link.site is None or (link.role == "cause" and link.what[:3] == "EF5"):
        return ""
    if link.what == "EF703":
        return ""
    return sites((link.site,), run)


def _link(link: Link, run: Run) -> str:
    words, place = _event(link), _at(link, run)
    if place:
        words += f" at {place}"
    if link.step is None or (link.role == "cause" and link.step <= 0):
        return words
    if link.role != "end":
        return f"step {link.step:,} {words}"
    if link.what in _STATES:
        return f"{words}, still so at step {link.step:,}"
    return f"{words} since step {link.step:,}" if link.step > 0 else f"{words} from the first step"
