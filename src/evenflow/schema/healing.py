"""Healing: what a training may be given while it runs, and the record of each time it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..lang import _, sentences
from ..nearby import did_you_mean
from .run import Event

#: The treatments that are safe in mid-training.
HEALS = ("clip", "skip", "rollback", "revive", "lr")
#: The kind of the events that hold interventions.
HEALED = "healed"
_ALL, _NONE = ("all", "1", "true", "yes", "on"), ("", "0", "false", "no", "off", "none")
_MOST = 64  # values of one record that are read from a file


@dataclass(frozen=True, slots=True)
class Intervention:
    """One change to a running training.

    Attributes:
        kind: one of `HEALS`.
        step: completed updates before it.
        reason: why, as a key of `words.healing` ("outlier-gradient").
        optimizer: index in `Run.meta["optimizers"]`.
        attempt: which of this optimizer's updates it was tried at, counted from 0; an update that
            was left out is no step, so attempts run ahead of steps.
        site: name of the layer, op or parameter it concerns most; "" where it is all of them.
        before, after: the values it changed, by name (see `words.healing`).
        evidence: what was measured, and what it was held against.
        note: free text of the origin of NaN and Inf.
    """

    kind: str
    step: int
    reason: str
    optimizer: int = 0
    attempt: int = 0
    site: str = ""
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def event(self) -> Event:
        """As it is stored."""
        detail = asdict(self)
        step, kind = detail.pop("step"), detail.pop("kind")
        return Event(HEALED, step, {"did": kind, **detail})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"step": self.step, **self.event().detail}


def interventions(events: Iterable[Event]) -> list[Intervention]:
    """Those among a run's events, in order; what a foreign file garbled is left out.

    >>> from evenflow.schema import Intervention, interventions
    >>> done = Intervention("clip", 40, "outlier-gradient", after={"norm": 0.2})
    >>> [(i.step, i.kind, i.after) for i in interventions([done.event()])]  # or of run.events
    [(40, 'clip', {'norm': 0.2})]
    """
    found = []
    for event in events:
        if event.kind != HEALED:
            continue
        d = event.detail
        try:
            if d["did"] not in HEALS:
                continue
            values: dict[str, Any] = {key: str(d[key]) for key in ("reason", "site", "note")}
            values |= {key: int(d[key]) for key in ("optimizer", "attempt")}
            values |= {key: _numbers(d[key]) for key in ("before", "after", "evidence")}
            found.append(Intervention(str(d["did"]), event.step, **values))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return found


def _numbers(table: Any) -> dict[str, float]:
    return {str(k): float(v) for k, v in list(table.items())[:_MOST]}


def allowed(heal: bool | str | Sequence[str] | None) -> tuple[str, ...]:
    """What `heal` permits, in the order of `HEALS`.

    Args:
        heal: True or "all": everything; False, None or "none": nothing; names in one text
            ("clip,skip") or a sequence.

    Raises:
        ValueError: a name that is none of `HEALS`; it says which, and the nearest.

    >>> from evenflow.schema import allowed
    >>> allowed("skip,clip"), allowed(True), allowed(False)
    (('clip', 'skip'), ('clip', 'skip', 'rollback', 'revive', 'lr'), ())
    """
    if heal is None or isinstance(heal, bool):
        return HEALS if heal else ()
    if isinstance(heal, str):
        text = heal.strip().lower()
        if text in _ALL:
            return HEALS
        if text in _NONE:
            return ()
        names = [n for n in text.replace(",", " ").split() if n]
    else:
        names = list(heal)
    for name in names:
        if name not in HEALS:
            said = _("heal: there is no {name!r}; there are {all}.").format(
                name=name, all=", ".join(HEALS)
            )
            near = did_you_mean(str(name), HEALS, write=str, sentence=True)
            raise ValueError(sentences(filter(None, (said, near))))
    return tuple(h for h in HEALS if h in names)
