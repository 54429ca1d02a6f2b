"""What an experiment is, what it answered, and what all nine found: the records of a check-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..lang import N_, _
from ..lazy import shown_by
from ..report import finite

#: Status -> its words.
STATUS = {
    "passed": N_("passed"),
    "failed": N_("failed"),
    "not-applicable": N_("not applicable"),
    "unknown": N_("not known"),
}
#: What any experiment may answer.
_ANY = {
    "time": N_("The budget of time ended before this was tried."),
    "error": N_("A run of it failed: {names}."),
    "follows": N_("It fails as well, as a consequence: see {names}."),
    "cannot": N_("It cannot be tried here: {names}."),
}
#: Names told one by one at most.
MOST = 4


@dataclass(frozen=True, slots=True)
class Experiment:
    """One of the nine.

    Attributes:
        number, name: 1 to 9, and its name in kebab case ("right-gradient").
        title: a noun phrase, translated when shown.
        said: key of an answer -> its sentence; {names}, {count} and the evidence are filled in.
        advice: key -> one line on what to do; a key without one needs none.
        test: asks a lab for runs and answers.
    """

    number: int
    name: str
    title: str
    said: Mapping[str, str]
    advice: Mapping[str, str]
    test: Callable[[Any], Tested]


@dataclass(frozen=True, slots=True)
class Tested:
    """The outcome of one experiment.

    Attributes:
        status: "passed", "failed", "not-applicable" (nothing here to test), or "unknown" (it could
            not be told, or depends on what is meant).
        why: the key of its sentence in `Experiment.said`.
        evidence: measured numbers by name.
        names: what the sentence names (parameters, operations), worst first.
        code: of the rule that finds the same in a run ("EF807"); "" = none.
        treatments: texts of treatments, best first.
        picture: lines of text, one mark a position.
        experiment: whose outcome it is.
    """

    status: str
    why: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    code: str = ""
    treatments: tuple[str, ...] = ()
    picture: tuple[str, ...] = ()
    experiment: Experiment = field(default=Experiment(0, "", "", {}, {}, lambda _: None))  # type: ignore[arg-type,return-value]

    @property
    def name(self) -> str:
        """The experiment's."""
        return self.experiment.name

    @property
    def said(self) -> str:
        """The sentence behind the status, in the language spoken."""
        text = _(self.experiment.said.get(self.why) or _ANY.get(self.why, ""))
        names = ", ".join(_(name) for name in self.names[:MOST] if name)
        if len(self.names) > MOST:
            more = _("{names} and {count} more")
            names = more.format(names=names, count=len(self.names) - MOST)
        shown = {name: number(value) for name, value in self.evidence.items()}
        return text.format(names=names, count=len(self.names), **shown)

    @property
    def advice(self) -> str:
        """What to do, in one line; "" where nothing is to be done."""
        return _(self.experiment.advice.get(self.why, ""))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; what JSON has no number for is a string, as in `check --json`."""
        told = {
            "number": self.experiment.number,
            "name": self.name,
            "status": self.status,
            "said": self.said,
            "evidence": dict(self.evidence),
            "names": list(self.names),
            "advice": self.advice,
            "code": self.code,
            "treatments": list(self.treatments),
            "picture": list(self.picture),
        }
        return {key: finite(value) for key, value in told.items()}


@dataclass(frozen=True, slots=True)
class Checkup:
    """The outcome of a check-up.

    Attributes:
        name: of the model or the script.
        tested: of each experiment, in order.
        seconds: all of it took.

    >>> import torch, evenflow
    >>> torch.manual_seed(0) and None
    >>> net, data = torch.nn.Linear(3, 2), (torch.randn(8, 3), torch.arange(8) % 2)
    >>> found = evenflow.checkup(net, data, torch.nn.functional.cross_entropy)
    >>> found.exit_code, found.as_json()["experiments"][0]["name"]
    (0, 'loss-at-birth')
    """

    name: str
    tested: tuple[Tested, ...]
    seconds: float = 0.0

    _repr_html_ = shown_by("evenflow.experiments.telling", "checkup_html")

    @property
    def failed(self) -> tuple[Tested, ...]:
        """The experiments that failed."""
        return tuple(t for t in self.tested if t.status == "failed")

    @property
    def verdict(self) -> str:
        """ "sick": one failed; "healthy": none did; "unjudged": not one could be judged."""
        if self.failed:
            return "sick"
        return "healthy" if any(t.status == "passed" for t in self.tested) else "unjudged"

    @property
    def exit_code(self) -> int:
        """As `evenflow check`'s: 0 nothing failed, 1 something did, 3 could not judge."""
        return {"sick": 1, "unjudged": 3}.get(self.verdict, 0)

    @property
    def treatments(self) -> tuple[str, ...]:
        """Of all that failed, each once: the first candidates of a cure."""
        return tuple(dict.fromkeys(text for t in self.failed for text in t.treatments))

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints: `{"schema": 1, "subject", "verdict", "seconds", "experiments"}`."""
        return {
            "schema": 1,
            "subject": self.name,
            "verdict": self.verdict,
            "seconds": round(self.seconds, 2),
            "experiments": [t.as_dict() for t in self.tested],
        }


def number(value: float) -> str:
    """Three digits; whole numbers as they are.

    >>> number(3.0), number(0.123456)
    ('3', '0.123')
    """
    whole = abs(value) < 1e6 and value == round(value)  # neither for NaN nor for infinity
    return f"{value:.0f}" if whole else f"{value:.3g}"
