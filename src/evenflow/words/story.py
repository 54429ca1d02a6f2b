"""A finding as one or two sentences: what, where, since when, how much, why, and the chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ..lang import N_, _, sentences, whole
from ..schema import Finding, Link, Run, Severity
from .catalogue import TITLES, cause
from .evidence import decisive
from .places import parameters, sites

#: What happened; "{at}" takes " at <place>", or nothing where there is no place.
_WHAT: dict[str, str] = {
    "EF101": N_("The gradient vanishes{at}"),
    "EF102": N_("The gradient explodes{at}"),
    "EF103": N_("NaN or infinity appears{at}"),
    "EF104": N_("The gradient is exactly zero{at}"),
    "EF105": N_("The gradient is too small for its number format{at}"),
    "EF201": N_("The activation is saturated{at}"),
    "EF202": N_("Units are dead{at}"),
    "EF203": N_("The network is paralysed{at}, saturated and unable to leave"),
    "EF204": N_("Attention has collapsed{at}"),
    "EF205": N_("All inputs look alike{at}"),
    "EF206": N_("Activations grow{at}"),
    "EF301": N_("Learning has stalled{at}"),
    "EF302": N_("Updates are too large{at}"),
    "EF401": N_("The loss is stuck{at}"),
    "EF402": N_("The loss diverges{at}"),
    "EF403": N_("The loss swings up and down from step to step{at}"),
    "EF404": N_("The loss falls, but too slowly{at}"),
    "EF501": N_("The input is not scaled{at}"),
    "EF502": N_("The input holds extreme outliers{at}"),
    "EF503": N_("The data hold NaN or infinity{at}"),
    "EF504": N_("The target is not scaled to what the network puts out{at}"),
    "EF601": N_("Weights are too small at the start{at}"),
    "EF602": N_("Weights are too large at the start{at}"),
    "EF603": N_("Units are dead at birth{at}"),
    "EF604": N_("The network is too deep for its initialisation{at}"),
    "EF605": N_("Units start alike and stay alike{at}"),
    "EF701": N_("The output and the loss do not fit each other{at}"),
    "EF702": N_("There is no non-linearity between layers{at}"),
    "EF703": N_("The learning rate is too high{at}"),
    "EF704": N_("Parameters are not trained{at}"),
    "EF802": N_("Gradients come, and no weight ever changes{at}"),
    "EF806": N_("A normalisation takes its statistics over too few values{at}"),
    "EF807": N_("An optimizer holds parameters that no gradient reaches{at}"),
    "EF803": N_("Every prediction is compared with every target{at}: their shapes broadcast"),
}

#: Short forms for links of a chain.
_LINKS: dict[str, str] = {
    "EF101": N_("gradient vanished"),
    "EF102": N_("gradient exploded"),
    "EF103": N_("NaN or infinity"),
    "EF104": N_("gradient zero"),
    "EF105": N_("gradient underflowed"),
    "EF201": N_("saturated"),
    "EF202": N_("units dead"),
    "EF203": N_("paralysed"),
    "EF204": N_("attention collapsed"),
    "EF205": N_("all inputs alike"),
    "EF206": N_("activations grew"),
    "EF301": N_("stalled"),
    "EF302": N_("update too large"),
    "EF401": N_("loss stuck"),
    "EF402": N_("loss diverged"),
    "EF403": N_("loss swings"),
    "EF404": N_("learning slow"),
    "EF802": N_("no weight changes"),
    "frozen": N_("frozen"),
    "dead": N_("units dead"),
    "non-finite": N_("NaN or infinity"),
    "nan": N_("NaN or infinity"),
    "stuck": N_("loss stuck"),
}

#: States at the end of a chain: their step is the last one seen, not the first.
_STATES = ("frozen", "dead")
#: Faults of the data and the set-up are there or not: no step needs telling if it is the first.
_TIMELESS = ("EF5", "EF7", "EF8")


def tell(finding: Finding, run: Run) -> str:
    """One or two plain sentences about a finding of this run.

    The first says what, where, since when and the number against its threshold; the second
    says why, as a chain where there is one. Evidence that is missing is not spoken of; a code
    that is not known is told by its name and numbers.
    """
    what, since = _what(finding, run), _since(finding, run)
    numbers = decisive(finding.evidence, finding.threshold, finding.code)
    if numbers:
        first = _("{what}{since}: {numbers}.").format(what=what, since=since, numbers=numbers)
    else:
        first = _("{what}{since}.").format(what=what, since=since)
    return sentences(filter(None, (first, _why(finding, run))))


def told(findings: Iterable[Finding], run: Run) -> list[Finding]:
    """The same findings with `message` filled in."""
    return [dataclasses.replace(f, message=tell(f, run)) for f in findings]


def _what(finding: Finding, run: Run) -> str:
    place = sites(finding.sites, run) or parameters(finding.params)
    # Translators: {place} is the name of a layer; fills {at} in "The gradient vanishes{at}".
    at = _(" at {place}").format(place=place) if place else ""
    if finding.code == "EF402" and finding.severity < Severity.error:
        return _("The loss spikes and comes back{at}").format(at=at)
    if finding.code in _WHAT:
        return _(_WHAT[finding.code]).format(at=at)
    return _("{name}{at}").format(name=f"{finding.code} {finding.name}", at=at)


def _since(finding: Finding, run: Run) -> str:
    first, last = finding.first_step, finding.last_step
    if finding.code[:3] in _TIMELESS and first <= 0:
        return ""
    # Sampled rows lie apart: what the last of them shows is taken as lasting.
    lasting = last >= min(
        (int(s[-1]) for s in (run.steps, run.curve_steps) if len(s)), default=last
    )
    # Translators: these fill {since} in "{what}{since}: {numbers}."
    if lasting:
        if first <= 0:
            return _(" from the first step")
        return _(" since step {step}").format(step=whole(first))
    if first == last:
        return _(" at step {step}").format(step=whole(first))
    return _(" from step {first} to {last}").format(first=whole(first), last=whole(last))


def _why(finding: Finding, run: Run) -> str:
    links = _merged([link for link in finding.chain if link.what], run)
    if len(links) > 1:
        return _("Chain: {chain}.").format(chain=" -> ".join(_link(link, run) for link in links))
    reason = finding.cause or (links[0].what if links and links[0].role == "cause" else "")
    if not reason or reason in (finding.code, finding.name):
        return ""
    if reason in TITLES:
        return _("Cause: {cause} ({code}).").format(cause=cause(reason), code=reason)
    return _("Cause: {cause}.").format(cause=cause(reason))


def without_chain(message: str) -> str:
    """A message without its last sentence, where that tells the chain."""
    head = _("Chain: {chain}.").partition("{chain}")[0]
    return message.partition(sentences(("", head)))[0]


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
    if link.role != "cause" and link.what in _LINKS:
        return _(_LINKS[link.what])
    return cause(link.what)


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
        words = _("{event} at {place}").format(event=words, place=place)
    if link.step is None or (link.role == "cause" and link.step <= 0):
        return words
    step = whole(link.step)
    if link.role != "end":
        return _("step {step} {event}").format(step=step, event=words)
    if link.what in _STATES:
        return _("{event}, still so at step {step}").format(event=words, step=step)
    if link.step > 0:
        return _("{event} since step {step}").format(event=words, step=step)
    return _("{event} from the first step").format(event=words)
