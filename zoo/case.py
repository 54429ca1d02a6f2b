"""What a case is: one training, sick or healthy, with what is expected to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: Which half a family of networks belongs to, fixed on 2026-11-21 before any rule was tuned.
#: Thresholds are set on the calibration half; what Evenflow reports of itself comes from the
#: report half alone. `docs/zoo.md` says why the line runs where it does.
FAMILY: dict[str, str] = {
    "perceptron": "calibration",
    "rnn": "calibration",
    "encoder": "calibration",
    "autoencoder": "calibration",
    "tabular-classification": "calibration",
    "cnn": "report",
    "residual": "report",
    "gated": "report",
    "decoder": "report",
    "generative": "report",
    "tabular-regression": "report",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One training on real data, as a user would write it, and what is known of it.

    Attributes:
        name: unique; the key in `REGISTRY`.
        family: a key of `FAMILY`; decides the half.
        about: the fault as an engineer would tell it, or the practice that is healthy.
        train: seed -> held-out score, higher is better (accuracy, R2, or minus a loss); plain
            PyTorch that seeds everything itself and knows nothing of Evenflow.
        bound: a healthy training scores at least this on every seed; a sick one stays below.
        expect: codes that must be found, as warning or error; empty for a healthy case.
        allow: codes that may be found too, as consequences of the fault.
        sites: for each expected code a regex (searched): the name of the finding's worst site,
            or one of its parameters, must match. A code without one is the whole run's.
        twin: the healthy case that differs by the absence of the fault alone; "" if healthy.
    """

    name: str
    family: str
    about: str
    train: Callable[[int], float]
    bound: float
    expect: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    sites: Mapping[str, str] = field(default_factory=dict)
    twin: str = ""

    @property
    def half(self) -> str:
        """ "calibration" or "report"."""
        return FAMILY[self.family]

    @property
    def healthy(self) -> bool:
        """True if nothing may be said against it."""
        return not self.expect


def codes(text: str) -> frozenset[str]:
    """Short hand of the case lists: "101 205" is {"EF101", "EF205"}."""
    return frozenset(f"EF{c}" for c in text.split())


def sick(
    family: str,
    name: str,
    about: str,
    train: Callable[[int], float],
    bound: float,
    *,
    twin: str,
    expect: str,
    allow: str = "",
    where: str | Mapping[str, str] = "",
) -> Case:
    """A sick case of a family; `where` is one regex for every expected code, or one for each."""
    expected = codes(expect)
    if isinstance(where, str):
        where = {c: where for c in sorted(expected)} if where else {}
    return Case(
        name=f"{family}-{name}",
        family=family,
        about=about,
        train=train,
        bound=bound,
        expect=expected,
        allow=codes(allow) - expected,
        sites=dict(where),
        twin=f"{family}-{twin}",
    )


def healthy(
    family: str, name: str, about: str, train: Callable[[int], float], bound: float
) -> Case:
    """A healthy case of a family."""
    return Case(name=f"{family}-{name}", family=family, about=about, train=train, bound=bound)
