"""What is known of a training whose script is to be edited: measured once, by `trial.survey`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..treatments import KnownModel, Spot, known_model


@dataclass(frozen=True, slots=True)
class KnownRoot:
    """A model that is trained.

    Attributes:
        views: treatment's text -> the model as that treatment of the course finds it.
        made: the lines that made it, the innermost first.
        cls: its class. wrapped: "compile", "parallel" or "".
    """

    cls: str
    views: dict[str, KnownModel]
    made: tuple[Spot, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownOptimizer:
    """An optimizer of the script.

    Attributes:
        cls: its class. lr: of its first group.
        groups: how many parameter groups. roots: which models it trains.
        made: the lines that made it, the innermost first; stepped: those that called `step`.
        models: expressions in sight where it is made -> which root that is; `step_models` likewise
            where it steps.
        scaler: a GradScaler steps it. scheduled: the class of a scheduler of its rate, "" if none.
        closure: its step is given a closure.
    """

    cls: str
    lr: float = 0.0
    groups: int = 1
    roots: tuple[int, ...] = (0,)
    made: tuple[Spot, ...] = ()
    stepped: tuple[Spot, ...] = ()
    models: dict[str, int] = field(default_factory=dict)
    step_models: dict[str, int] = field(default_factory=dict)
    scaler: bool = False
    scheduled: str = ""
    closure: bool = False


@dataclass(frozen=True, slots=True)
class KnownTraining:
    """Models and optimizers of a training, and where its backward pass is called."""

    roots: tuple[KnownRoot, ...] = ()
    optimizers: tuple[KnownOptimizer, ...] = ()
    backward: tuple[Spot, ...] = ()

    def view(self, root: int, treatment: str) -> KnownModel | None:
        """The root as a treatment finds it; None where it was not seen."""
        return self.roots[root].views.get(treatment) if root < len(self.roots) else None


def known_training(plain: Mapping[str, Any]) -> KnownTraining:
    """Of the JSON that a survey writes.

    Args:
        plain: what `treatments.known_as_json` makes of a `KnownTraining`.

    Raises:
        KeyError: it is no such record.

    >>> from evenflow.patching import KnownTraining, known_training
    >>> known_training({"roots": [], "optimizers": [], "backward": []}) == KnownTraining()
    True
    """
    roots = tuple(
        KnownRoot(
            r["cls"],
            {text: known_model(view) for text, view in r["views"].items()},
            _spots(r["made"]),
        )
        for r in plain["roots"]
    )
    optimizers = []
    for o in plain["optimizers"]:
        told = {k: _spots(o[k]) for k in ("made", "stepped")}
        optimizers.append(KnownOptimizer(**{**o, **told, "roots": tuple(o["roots"])}))
    return KnownTraining(roots, tuple(optimizers), _spots(plain["backward"]))


def _spots(plain: Any) -> tuple[Spot, ...]:
    return tuple(Spot(*s) for s in plain)
