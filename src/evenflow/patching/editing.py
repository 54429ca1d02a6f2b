"""The sources of one script while a course of treatments is written into them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst

from ..lang import _
from ..treatments import KnownModel, Parsed
from .known import KnownOptimizer, KnownTraining
from .names import Names
from .optimizer_call import OptimizerCall, find_calls
from .patch import CannotPatch, Done, Note, Unfit
from .script_file import ScriptFile
from .sources import decoded
from .step_place import StepPlace, find_steps
from .targets import assigned, in_sight

#: Treatments beside the starts that draw random numbers.
DRAWING = frozenset(
    (
        *("recurrent=orthogonal", "recurrent=lstm", "recurrent=gru", "tailored"),
        *("attention=sigma-reparam", "revive"),
    )
)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model can be worked on: its file, a statement, and the expression that gives it.

    `above`: lines go above the statement (an optimizer's); else below (the model's own). `returned`
    says that it is a `return`, which has to wait for them.
    """

    file: ScriptFile
    statement: Any
    model: str
    above: bool
    returned: bool = False


class Editing:
    """What edits are given: files, what is known, and where things stand."""

    def __init__(
        self, sources: Mapping[str, bytes], known: KnownTraining, course: Sequence[Parsed]
    ) -> None:
        self.sources, self.known, self.course = dict(sources), known, course
        self.files: dict[str, ScriptFile] = {}
        self._names: dict[str, Names] = {}
        self.done: list[Done] = []
        self.notes: list[Note] = []
        self.root, self.viewed = 0, False  # which model, and whether an edit has asked for it
        self._returns: list[ModelPlace] = []
        self._calls: list[OptimizerCall] | None = None
        self._steps: list[StepPlace] | None = None

    # --- files ---------------------------------------------------------------------------------

    def file(self, name: str) -> ScriptFile:
        """A source file, read at first use. Unfit if it is not among those given."""
        if name not in self.files:
            if name not in self.sources:
                raise Unfit(_("{name} is not among the script's own files.").format(name=name))
            self.files[name] = ScriptFile(name, decoded(self.sources[name], name))
        return self.files[name]

    def names(self, file: ScriptFile) -> Names:
        """The names of torch in a file."""
        if file.name not in self._names:
            self._names[file.name] = Names(file)
        return self._names[file.name]

    def did(self, p: Parsed, file: ScriptFile, what: str) -> None:
        """Say that a treatment has been edited."""
        self.done.append(Done(str(p), file.name, what))

    def note(self, p: Parsed, why: Unfit) -> None:
        """Say that one could not be."""
        self.notes.append(Note(str(p), str(why), p.entry.edit(p.value), why.spot))

    def seed(self, p: Parsed) -> int:
        """What a treatment's generator begins with: how many before it in the course draw."""
        names = [q.entry.name for q in self.course[: self.course.index(p)]]
        return sum(name.startswith("init=") or name in DRAWING for name in names)

    # --- models --------------------------------------------------------------------------------

    def view(self, p: Parsed) -> tuple[int, KnownModel]:
        """The model that is being edited, as the treatment finds it."""
        self.viewed = True
        if not self.known.roots:
            raise Unfit(_("no training forward of a model was seen."))
        view = self.known.view(self.root, str(p))
        if view is None:
            raise Unfit(_("the treatment could not be tried on the model."))
        return self.root, view

    def place(self, root: int | None = None) -> ModelPlace:
        """Where a model is whole and its optimizer not made yet, as far as that is known."""
        root = self.root if root is None else root
        made = self._by_model(root)
        for optimizer in self.known.optimizers:
            if root in optimizer.roots and (found := self._by_optimizer(optimizer, root)):
                sooner = made is not None and (_copied(made, found) or _repeated(made, found))
                return made if made is not None and sooner else found
        if made is not None:
            return made
        spots = self.known.roots[root].made if root < len(self.known.roots) else ()
        said = _("no line of the script's own names the model before its optimizer is made.")
        raise Unfit(said, spots[0] if spots else None)

    def _by_optimizer(self, optimizer: KnownOptimizer, root: int) -> ModelPlace | None:
        for spot in optimizer.made[:1]:
            if spot.file not in self.sources:
                continue
            file = self.file(spot.file)
            statement = file.statement_at(spot.line)
            if statement is None:
                continue
            model = in_sight(optimizer.models, root, file.code(statement))
            if model is None:
                continue
            while isinstance(parent := _block_owner(file, statement), cst.If):
                if re.search(rf"\b{re.escape(model)}\s*=[^=]", file.code(parent)):
                    break
                statement = parent
            if file.own_line(statement) and not _elif(file, statement):
                return ModelPlace(file, statement, model, True)
        return None

    def _by_model(self, root: int) -> ModelPlace | None:
        made = self.known.roots[root].made if root < len(self.known.roots) else ()
        inner: ModelPlace | None = None
        for spot in made:
            if spot.file not in self.sources:
                continue
            file = self.file(spot.file)
            statement = file.statement_at(spot.line)
            method = file.within(statement, cst.FunctionDef) if statement is not None else None
            if method is not None and method.name.value == "__init__":
                inner = inner or self._in_init(file, method, self.known.roots[root].cls)
                continue
            target = assigned(file, statement)
            if target is not None:
                return ModelPlace(file, statement, target, False)
            if _returns(statement) and file.own_line(statement):
                return self._returned(file, statement)
        return inner

    def _in_init(self, file: ScriptFile, method: cst.FunctionDef, cls: str) -> ModelPlace | None:
        """The end of the model's own constructor."""
        owner = file.within(method, cst.ClassDef)
        if owner is None or owner.name.value != cls or not method.params.params:
            return None
        if not isinstance(method.body, cst.IndentedBlock):
            return None
        me = method.params.params[0].name.value
        return ModelPlace(file, method.body.body[-1], me, False)

    def _returned(self, file: ScriptFile, statement: Any) -> ModelPlace:
        """A function returns the model as it makes it: it gets a name, once a line is put there."""
        method = file.within(statement, cst.FunctionDef)
        free = (n for n in ("model", "network", "made") if not _mentions(file, method, n))
        return ModelPlace(file, statement, next(free, "made_model"), False, True)

    def function(self, place: ModelPlace, template: str) -> str:
        """Put a function into the place's file; its name there."""
        return self.names(place.file).function(template, place.statement)

    def call(self, place: ModelPlace, line: str) -> None:
        """Run a line at a place; several keep their order."""
        if place.returned and place not in self._returns:
            begin, _end = place.file.span(place.statement)
            place.file.replace_text(begin, begin + len("return"), f"{place.model} =")
            self._returns.append(place)
        if place.above:
            place.file.before(place.statement, [line])
        else:
            place.file.after(place.statement, [line])

    def run(self, place: ModelPlace, template: str) -> None:
        """Put a function of the model into the place's file, and call it there."""
        self.call(place, f"{self.function(place, template)}({place.model})")

    # --- optimizers ----------------------------------------------------------------------------

    def optimizers(self) -> list[OptimizerCall]:
        """The calls that make the script's optimizers: measured or, without that, by form."""
        if self._calls is None:
            self._calls = find_calls(self.known, self.file, self.sources)
        if not self._calls:
            raise Unfit(_("no line of the script's own makes an optimizer."))
        return self._calls

    def steps(self) -> list[StepPlace]:
        """All calls of `step` of the script's optimizers, likewise."""
        if self._steps is None:
            self._steps = find_steps(self.known, self.file, self.sources, self.optimizers())
        if not self._steps:
            raise Unfit(_("no line of the script's own calls the optimizer's step."))
        return self._steps

    def finish(self) -> None:
        """Write down what was collected for calls and steps."""
        for place in self._returns:
            place.file.after(place.statement, [f"return {place.model}"])
        for call in self._calls or ():
            call.write(self.names(call.file))
            call.write_below(self.names(call.home_file))
        for step in self._steps or ():
            step.write(self.names(step.file))
        for names in self._names.values():
            names.write()

    def texts(self) -> dict[str, bytes]:
        """Bytes of each file that has changed."""
        out = {}
        for name, file in self.files.items():
            if not file.splices:
                continue
            try:
                raw = file.source.encoded(file.render())
            except UnicodeEncodeError as error:
                said = _("{name} cannot hold what is to be written ({error}): save it as UTF-8.")
                raise CannotPatch(said.format(name=name, error=error.reason)) from None
            if raw != self.sources[name]:
                out[name] = raw
        return out


def _copied(made: ModelPlace, found: ModelPlace) -> bool:
    """Is a copy of the model (a moving average) made before its optimizer? It would miss what is
    put into the model in between."""
    if made.file is not found.file or made.returned:
        return False
    begin, end = made.file.span(made.statement)[1], found.file.span(found.statement)[0]
    return re.search(r"deepcopy\(|AveragedModel\(", made.file.text[begin:end]) is not None


def _repeated(made: ModelPlace, found: ModelPlace) -> bool:
    """Does a loop make optimizer after optimizer for one model? What starts it stands before."""
    loop = found.file.within(found.statement, (cst.For, cst.While))
    if loop is None or made.file is not found.file:
        return False
    begin, end = made.file.span(loop)
    return not begin <= made.file.span(made.statement)[0] < end


def _returns(statement: Any) -> bool:
    simple = isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1
    return simple and isinstance(statement.body[0], cst.Return)


def _mentions(file: ScriptFile, node: Any, name: str) -> bool:
    code = file.text if node is None else file.code(node)
    return re.search(rf"\b{name}\b", code) is not None


def _block_owner(file: ScriptFile, statement: Any) -> Any:
    block = file.parents[statement]
    return file.parents[block] if isinstance(block, cst.IndentedBlock) else None


def _elif(file: ScriptFile, statement: Any) -> bool:
    return isinstance(statement, cst.If) and isinstance(file.parents[statement], cst.If)
