"""A finding as one or two sentences: what, where, since when, how much, why, and the chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ..faults import REGISTRY, STATES
from ..lang import _, sentences, whole
from ..schema import Finding, Link, Run, Severity
from .evidence import decisive
from .names import cause, event
from .places import parameters, sites

#: Faults of the data and the set-up are there or not: no step needs telling if it is the first.
_TIMELESS = ("EF5", "EF7", "EF8")


def message(finding: Finding, run: Run) -> str:
    """One or two plain sentences about a finding of this run.

    The first says what, where, since when and the number against its threshold; the second
    says why, as a chain where there is one. Evidence that is missing is not spoken of; a code
    that is not known is told by its name and numbers.
    """
    return sentences(filter(None, (what_happened(finding, run), _why(finding, run))))


def what_happened(finding: Finding, run: Run, numbers: bool = True) -> str:
    """The first sentence of `message`; without `numbers` what, where and since when alone."""
    what, since = _what(finding, run, numbers), _since(finding, run)
    told = decisive(finding.evidence, finding.threshold, finding.code) if numbers else ""
    if told:
        return _("{what}{since}: {numbers}.").format(what=what, since=since, numbers=told)
    return _("{what}{since}.").format(what=what, since=since)


def with_messages(findings: Iterable[Finding], run: Run) -> list[Finding]:
    """The same findings, with `message` filled in where there is none."""
    return [f if f.message else dataclasses.replace(f, message=message(f, run)) for f in findings]


def _what(finding: Finding, run: Run, explained: bool) -> str:
    place = sites(finding.sites, run) or parameters(finding.params)
    # Translators: {place} is the name of a layer; fills {at} in "The gradient vanishes{at}".
    at = _(" at {place}").format(place=place) if place else ""
    if finding.code in REGISTRY:
        rule = REGISTRY[finding.code]
        mild = rule.mild if finding.severity < Severity.error else ""
        what = _(mild or rule.sentence).format(at=at)
        means = _(rule.means) if explained and not mild else ""
        # Translators: "Units are dead (no gradient reaches them any more)"
        return _("{what} ({means})").format(what=what, means=means) if means else what
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
    if reason in REGISTRY:
        return _("Cause: {cause} ({code}).").format(cause=cause(reason), code=reason)
    return _("Cause: {cause}.").format(cause=cause(reason))


def without_chain(text: str) -> str:
    """A message without its last sentence, where that tells the chain."""
    head = _("Chain: {chain}.").partition("{chain}")[0]
    return text.partition(sentences(("", head)))[0]


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
    return cause(link.what) if link.role == "cause" else event(link.what)


def _at(link: Link, run: Run) -> str:
    """The place, unless the words hold it already (the data, the optimizer's rate)."""
    rule = REGISTRY.get(link.what)
    if link.site is None or (rule is not None and link.role not in rule.placed_as):
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
    if link.what in STATES and STATES[link.what].lasting:
        return _("{event}, still so at step {step}").format(event=words, step=step)
    if link.step > 0:
        return _("{event} since step {step}").format(event=words, step=step)
    return _("{event} from the first step").format(event=words)
