"""What a rule is: one fault, one class, one file; its docstring is its page.

All else that it says stands in records, marked for translation and put together by `words`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from ..schema import Finding, Link, Severity
from .view import View


class EvidenceLabel(NamedTuple):
    """How a number of evidence is called and written.

    Attributes:
        name: key in a finding's evidence.
        text: what it is called.
        form: "number", "share"; of decades "factor" ("a factor of 1,000") or, with their direction,
            "change" ("1,000 times smaller").
        fact: told without its threshold, as that is none, one or obvious.
        silent: not told, as the sentence has said it.
    """

    name: str
    text: str
    form: str = "number"
    fact: bool = False
    silent: bool = False


class Unless(NamedTuple):
    """A case in which a remedy does not fit a network.

    Attributes:
        has: what such a network has, or with a "-" before it lacks, all of it (`words.Network`).
        instead: what is told in place of the remedy; "" = nothing.
    """

    has: str
    instead: str = ""


class Remedy(NamedTuple):
    """What to do about a fault, for a network that it fits.

    Attributes:
        text: a sentence; `make words` gathers it without a mark.
        then: a second one.
        unless: cases where it does not fit; the first that holds counts.
        deep: helps deep networks, and is not told of shallow ones.
        by: how texts of treatments begin that do it ("init=lsuv-centred", "lr=x0."): its place
            among others is theirs.
    """

    text: str
    then: str = ""
    unless: tuple[Unless, ...] = ()
    deep: bool = False
    by: tuple[str, ...] = ()


class Cause(NamedTuple):
    """Why a fault is there, where the reason is no fault with a code of its own.

    Attributes:
        name: in kebab case, as in `Finding.cause`.
        text: it in words, as the end of "because of ..." or the head of a chain.
        remedy: told before the fault's own remedies.
        sure: read off the fault's own evidence, so that no other finding may overrule it.
        harmless: a fault of this cause brings nothing about.
    """

    name: str
    text: str
    remedy: Remedy | None = None
    sure: bool = False
    harmless: bool = False


class EndState(NamedTuple):
    """What a fault ended in, as the last link of a chain.

    Attributes:
        name: as in `Link.what`.
        text: it in words, by itself.
        link: it in words, in a chain; "" = `text`.
        lasting: its step is the last one seen, not the first.
    """

    name: str
    text: str
    link: str = ""
    lasting: bool = False


class Rule(ABC):
    """One fault that a run can show, with all that is said of it.

    Whoever writes a rule gives `code`, `name` (after the fault, not the remedy), `since`, a
    docstring with the sections "What it means", "Why is this bad?", "How it is measured",
    "Threshold" (with its source or calibration) and "What to do", and `check`. `check` is pure:
    it reads the run, writes nothing, and yields findings whose every number was measured. It
    must yield nothing for a run that lacks what it needs (short, empty, all NaN). Sick and
    healthy examples of each code live in the repository's `zoo`.

    Texts are marked by `N_` and put together by `words`:

    Attributes:
        title: a headline.
        sentence: what happened; "{at}" takes " at <place>", or nothing where there is no place.
        means: what that means, where the words do not say it; told behind it in brackets.
        mild: the same where the finding is no error; "" = `sentence`.
        link: what happened in two words, for a link of a chain; "" = `as_cause`.
        as_cause: the fault as the cause of another; "" = `title`.
        placed_as: roles in which a chain tells the place; not where the words hold it already.
        labels: what the numbers are called that only this rule measures (see `labels.COMMON`).
        causes: every cause that `check` may name, but for codes.
        remedies: what to do, best first.
        if_cause: what comes first of all in the advice on a fault that this one has caused.
        if_shallow: what comes first in a network of few layers.
        points_at: which lines of the script it is about: "sites" (what made or ran its sites, or
            its parameters), "calls" (what ran its sites), "optimizer" (what made it), "step" (its
            update), or "inputs" (what called the model).
        stage: place on the way from root (low) to end state; a fault is only explained by one
            that stands before it.
        stage_if_sure: the place of a finding whose cause is sure; None = `stage`.
        leads_to: codes of what it can bring about.
        leads_as_error: only as an error does it bring that about.
        looks_back: it shows what went wrong at any time before.
        standing: it is so from the first step on, whenever it was first read.
        is_end: a chain may end in it.
        sure: where a finding names this code as its cause, no other finding may overrule it.
        overrules: explains findings all the same whose own cause is sure.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    since: ClassVar[str] = "0.1"
    status: ClassVar[str] = "stable"  # preview, stable, deprecated or removed

    title: ClassVar[str]
    sentence: ClassVar[str]
    means: ClassVar[str] = ""
    mild: ClassVar[str] = ""
    link: ClassVar[str] = ""
    as_cause: ClassVar[str] = ""
    placed_as: ClassVar[tuple[str, ...]] = ("cause", "event", "end")
    labels: ClassVar[tuple[EvidenceLabel, ...]] = ()
    causes: ClassVar[tuple[Cause, ...]] = ()
    remedies: ClassVar[tuple[Remedy, ...]]
    if_cause: ClassVar[Remedy | None] = None
    if_shallow: ClassVar[tuple[Remedy, ...]] = ()
    points_at: ClassVar[str] = "sites"
    stage: ClassVar[int]
    stage_if_sure: ClassVar[int | None] = None
    leads_to: ClassVar[tuple[str, ...]] = ()
    leads_as_error: ClassVar[bool] = False
    looks_back: ClassVar[bool] = False
    standing: ClassVar[bool] = False
    is_end: ClassVar[bool] = False
    sure: ClassVar[bool] = False
    overrules: ClassVar[bool] = False

    @abstractmethod
    def check(self, view: View) -> Iterable[Finding]:
        """Yield what is wrong; nothing when all is well or cannot be judged."""

    def finding(
        self,
        severity: Severity,
        *,
        steps: tuple[int, int],
        evidence: Mapping[str, float],
        sites: Sequence[int] = (),
        threshold: Mapping[str, float] | None = None,
        params: Iterable[str] = (),
        cause: str = "",
        cause_at: int | None = None,
        then: Iterable[Link] = (),
        chain: Iterable[Link] | None = None,
    ) -> Finding:
        """A finding of this rule. Evidence that is not finite was not measured and is left out;
        so are thresholds without evidence of that name. `steps` are the numbers of the first and
        the last step, not rows (`View.over`). Without a `chain`: the cause, where there is one, at
        the site `cause_at`; the fault, since the first step, at the first site; `then` what came
        of it."""
        assert not cause or cause[:2] == "EF" or cause in (c.name for c in self.causes), cause
        measured = {k: float(v) for k, v in evidence.items() if math.isfinite(v)}
        first, last = map(int, steps)
        sites = tuple(map(int, sites))
        if chain is None:
            known = [Link("cause", cause, None, cause_at)] if cause else []
            chain = (*known, Link("event", self.code, first, next(iter(sites), None)), *then)
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            sites=sites,
            first_step=first,
            last_step=last,
            evidence=measured,
            threshold={k: float(v) for k, v in (threshold or {}).items() if k in measured},
            params=tuple(params),
            cause=cause,
            chain=tuple(chain),
        )
