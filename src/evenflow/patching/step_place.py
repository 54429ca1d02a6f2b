"""Calls of an optimizer's `step`, and the lines that go above them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from ..lang import _
from ..treatments import Spot
from .known import KnownOptimizer, KnownTraining
from .names import Names
from .optimizer_call import OptimizerCall
from .patch import Unfit
from .script_file import ScriptFile
from .targets import in_sight, last_name


@dataclass(slots=True, eq=False)
class StepPlace:
    """One call of `step`.

    Attributes:
        optimizer, scaler: the expressions for both; scaler "" where there is none.
        known: what is known of the optimizer.
        lines, below: what goes above its statement, and below it.
    """

    file: ScriptFile
    call: cst.Call
    optimizer: str
    scaler: str
    known: KnownOptimizer
    lines: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)

    @property
    def spot(self) -> Spot:
        """Where it stands."""
        return Spot(self.file.name, self.file.line(self.call))

    @property
    def statement(self) -> Any:
        """The statement that it is."""
        return self.file.statement_of(self.call)

    def model(self, made: OptimizerCall) -> str | None:
        """The model whose every parameter the optimizer holds, by its name here; None."""
        if self.known.groups > 1 or len(self.known.roots) != 1:
            return None
        if not self.known.made:
            return self._by_form(made)
        said = self.file.code(made.call.args[0]) if made.file is self.file else ""
        found = in_sight(self.known.step_models, self.known.roots[0], said)
        first = made.file.code(made.call.args[0].value)
        return found if found is not None and first.endswith(".parameters()") else None

    def _by_form(self, made: OptimizerCall) -> str | None:
        """Nothing was measured: what the optimizer's call says, if that is in sight here."""
        first = made.file.code(made.call.args[0].value)
        name = first.removesuffix(".parameters()")
        kind = cst.ClassDef if "." in name else cst.FunctionDef
        here, there = self.file.within(self.call, kind), made.file.within(made.call, kind)
        near = self.file is made.file and (here is there or (there is None and "." not in name))
        return name if near and name != first else None

    def parameters(self, made: Sequence[OptimizerCall]) -> str:
        """An expression for all that it updates, in its order."""
        mine = [c for c in made if c.known is self.known or not c.known.made]
        model = self.model(mine[0]) if len(mine) == 1 else None
        if model is not None:
            return f"{model}.parameters()"
        return f'[p for group in {self.optimizer}.param_groups for p in group["params"]]'

    def fit(self) -> None:
        """Unfit where no line can be put above it, or the gradients are not there yet."""
        if self.known.closure or (self.call.args and not self.scaler):
            said = _("the step is given a closure: gradients exist only within it.")
            raise Unfit(said, self.spot)
        statement = self.statement
        if not isinstance(statement, cst.SimpleStatementLine) or not self.file.own_line(statement):
            said = _("the step shares its line with what decides about it.")
            raise Unfit(said, self.spot)

    def write(self, names: Names) -> None:
        """What was collected."""
        file, statement = self.file, self.statement
        lines = list(map(names.adapt, self.lines))
        if lines and len(statement.body) == 1:
            file.before(statement, names.lines(self.lines, file.indent(statement)))
        elif lines:
            small = next(s for s in statement.body if self.call in list(file.inside(s, cst.Call)))
            file.insert(file.span(small)[0], "".join(f"{line}; " for line in lines))
        if self.below:
            file.after(statement, list(map(names.adapt, self.below)))


def find_steps(
    known: KnownTraining,
    file: Callable[[str], ScriptFile],
    sources: Iterable[str],
    made: Sequence[OptimizerCall],
) -> list[StepPlace]:
    """Where optimizers step: at the lines that were seen and others like them, else by form."""
    found: dict[tuple[str, int], StepPlace] = {}
    for optimizer in known.optimizers:
        for spot in optimizer.stepped[:1]:
            if spot.file not in sources:
                continue
            here = file(spot.file)
            seen = [p for c in here.calls_at(spot.line) if (p := _step(here, c, optimizer))]
            for first in seen[:1]:
                for call in here.calls():
                    like = _step(here, call, optimizer)
                    if like is not None and like.optimizer == first.optimizer:
                        found.setdefault((here.name, here.span(call)[0]), like)
    if known.optimizers:
        return list(found.values())
    targets = {c.target for c in made}
    for name in sources:
        here = file(name)
        for call in here.calls():
            like = _step(here, call, KnownOptimizer(""))
            if like is not None and like.optimizer in targets:
                like.known = next(c.known for c in made if c.target == like.optimizer)
                found.setdefault((name, here.span(call)[0]), like)
    return list(found.values())


def _step(file: ScriptFile, call: cst.Call, known: KnownOptimizer) -> StepPlace | None:
    function = call.func
    if not isinstance(function, cst.Attribute) or last_name(function) != "step":
        return None
    of = file.code(function.value)
    scaler = known.scaler or f"{of}.scale(" in file.text
    if scaler and call.args:
        return StepPlace(file, call, file.code(call.args[0].value), of, known)
    return StepPlace(file, call, of, "", known)
