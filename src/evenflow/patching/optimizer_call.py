"""The call that makes an optimizer, and what of it is to be another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst

from ..lang import _
from ..treatments import Spot
from .known import KnownOptimizer, KnownTraining
from .names import Names
from .patch import Unfit
from .script_file import ScriptFile
from .targets import add_keyword, assigned, keyword, last_name, starred

#: Names by which a call is taken for an optimizer's where nothing was measured.
CLASSES = frozenset(
    (
        *("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta"),
        *("Rprop", "ASGD", "SparseAdam", "Adafactor", "LBFGS", "Muon"),
    )
)
#: Where the rate and the momentum stand among the positional arguments.
_POSITION = {"lr": 1, "momentum": 2}
#: Rates of schedules that set them themselves.
SCHEDULED = {
    "OneCycleLR": ("max_lr",),
    "CyclicLR": ("base_lr", "max_lr"),
    "CosineAnnealingLR": ("eta_min",),
    "CosineAnnealingWarmRestarts": ("eta_min",),
    "ReduceLROnPlateau": ("min_lr",),
}
_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\Z")


class OptimizerCall:
    """One call, with the changes that wait to be written.

    Attributes:
        home: the statement that gives it a name, where lines that speak of it can follow, and its
            file; its own, or that of a function which returns it.
        target: the name it has there, None if it has none.
        factor, fixed: of the rate: a factor on it, or another in its place.
        momentum: another one. made: (class, rate) of another optimizer.
        below: lines that follow `home`.
    """

    def __init__(self, file: ScriptFile, call: cst.Call, known: KnownOptimizer) -> None:
        self.file, self.call, self.known = file, call, known
        self.statement = file.statement_of(call)
        self.home_file, self.home = file, self.statement
        self.target = assigned(file, self.statement)
        self.factor: float | None = None
        self.fixed: float | None = None
        self.momentum: float | None = None
        self.made: tuple[str, float] | None = None
        self.below: list[str] = []

    @property
    def spot(self) -> Spot:
        """Where it stands."""
        return Spot(self.file.name, self.file.line(self.call))

    def live_at(self, file: ScriptFile, statement: Any, name: str) -> None:
        """It is another statement that gives it its name."""
        self.home_file, self.home, self.target = file, statement, name

    def name(self) -> str:
        """What it is called where it lives. Unfit if lines that follow could not speak of it."""
        if self.target is None or not self.home_file.own_line(self.home):
            said = _("the optimizer is made within another expression and has no name here.")
            raise Unfit(said, self.spot)
        return self.target

    def argument(self, name: str) -> cst.Arg | None:
        """Its argument for a setting, given by name or by place."""
        found = keyword(self.call, name)
        at = _POSITION.get(name)
        if found is not None or at is None or len(self.call.args) <= at:
            return found
        plain = all(a.keyword is None and not a.star for a in self.call.args[: at + 1])
        named = name != "momentum" or last_name(self.call.func) == "SGD"
        return self.call.args[at] if plain and named else None

    def open(self, name: str) -> bool:
        """Can the setting be written into the call itself?"""
        return self.known.groups <= 1 and (
            self.argument(name) is not None or not starred(self.call)
        )

    def set(self, name: str, value: str) -> None:
        """Give the call a setting."""
        found = self.argument(name)
        if found is not None:
            self.file.replace(found.value, value)
        else:
            add_keyword(self.file, self.call, f"{name}={value}")

    # --- writing -------------------------------------------------------------------------------

    def write_below(self, names: Names) -> None:
        """The lines that follow where it lives, once `write` has added its own."""
        if self.below:
            indent = self.home_file.indent(self.home)
            self.home_file.after(self.home, names.lines(self.below, indent))

    def write(self, names: Names) -> None:
        """What waits to be written into the call itself."""
        if self.made is not None:
            self._another(names)
        else:
            self._rate()
            self._momentum()
            self.file.reflow(self.call)

    def _rate(self) -> None:
        if self.fixed is None and self.factor is None:
            return
        factor = 1.0 if self.factor is None else self.factor
        if self.fixed is not None and self.open("lr"):
            self.set("lr", scaled(number(self.fixed), factor))
        elif self.fixed is not None:
            self._each(f'group["lr"] = {scaled(number(self.fixed), factor)}')
        elif self.open("lr"):
            self.set("lr", scaled(self._old("lr", self.argument("lr")), factor))
        else:
            self._each(f'group["lr"] *= {number(factor)}')
        if self.known.scheduled in SCHEDULED and self.factor is not None:
            self._schedule(SCHEDULED[self.known.scheduled], self.factor)

    def _old(self, name: str, found: cst.Arg | None) -> str:
        if found is not None:
            code = self.file.code(found.value)
            plain = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Float, cst.Integer)
            bare = isinstance(found.value, plain) or code.startswith("(")
            return code if bare else f"({code})"
        return number(self.known.lr or 1e-3)

    def _schedule(self, settings: tuple[str, ...], factor: float) -> None:
        """Rates that a schedule sets by itself, scaled alike."""
        for call in self.file.calls():
            if last_name(call.func) == self.known.scheduled:
                for name in settings:
                    found = keyword(call, name)
                    if found is None and name == "max_lr" and len(call.args) > 1:
                        found = call.args[1] if call.args[1].keyword is None else None
                    if found is not None:
                        self.file.replace(found.value, scaled(self._old(name, found), factor))
                self.file.reflow(call)

    def _momentum(self) -> None:
        if self.momentum is None:
            return
        value, cls = number(self.momentum), self.known.cls
        betas = cls not in ("SGD", "RMSprop")
        if self.open("betas" if betas else "momentum"):
            old = self.argument("betas")
            second = "0.999"
            if betas and old is not None:
                if not isinstance(old.value, cst.Tuple) or len(old.value.elements) != 2:
                    second = f"{self.file.code(old.value)}[1]"
                else:
                    second = self.file.code(old.value.elements[1].value)
            self.set("betas" if betas else "momentum", f"({value}, {second})" if betas else value)
        elif betas:
            self._each(f'group["betas"] = ({value}, group["betas"][1])')
        else:
            self._each(f'group["momentum"] = {value}')

    def _each(self, line: str) -> None:
        """A line for each of its parameter groups, once it is made."""
        self.below[:0] = [f"for group in {self.name()}.param_groups:", f"    {line}"]

    def _another(self, names: Names) -> None:
        """Another class in its place, with its own settings."""
        assert self.made is not None
        cls, rate = self.made
        first = self.file.code(self.call.args[0].value)
        lr = number(rate) if self.factor is None else scaled(number(rate), self.factor)
        momentum = 0.9 if self.momentum is None else self.momentum
        more = f", momentum={number(momentum)}" if cls == "SGD" else ""
        function = self.call.func
        own = last_name(function)
        if isinstance(function, cst.Attribute) and own in CLASSES:
            made = f"{self.file.code(function.value)}.{cls}"
        else:
            made = names.adapt(f"torch.optim.{cls}")
        self.file.replace(self.call, f"{made}({first}, lr={lr}{more})")


def find_calls(
    known: KnownTraining, file: Callable[[str], ScriptFile], sources: Iterable[str]
) -> list[OptimizerCall]:
    """Where the script makes its optimizers: at the lines that were seen, else by their names."""
    found: dict[tuple[str, int], OptimizerCall] = {}
    for optimizer in known.optimizers:
        for k, spot in enumerate(optimizer.made):
            if spot.file not in sources:
                break
            here = file(spot.file)
            call = _at(here, spot.line, optimizer.cls)
            if call is None:
                continue  # a subclass of the script's own: its maker is further out
            made = OptimizerCall(here, call, optimizer)
            if made.target is None:
                _settle(made, optimizer, optimizer.made[k + 1 :], file, sources)
            found.setdefault((spot.file, here.span(call)[0]), made)
            break
    if known.optimizers:
        return list(found.values())
    out = []
    for name in sources:
        here = file(name)
        for call in here.calls():
            cls = last_name(call.func)
            if cls in CLASSES and call.args:
                out.append(OptimizerCall(here, call, KnownOptimizer(cls)))
    return out


def _at(file: ScriptFile, line: int, cls: str) -> cst.Call | None:
    """The call at a line that makes an optimizer of a class: by its name, or one whose function is
    worked out (`getattr(torch.optim, name)(...)`)."""
    calls = [c for c in file.calls_at(line) if c.args]
    named = [c for c in calls if last_name(c.func) == cls]
    worked_out = [c for c in calls if isinstance(c.func, (cst.Call, cst.Subscript))]
    init = any(last_name(c.func) == "__init__" for c in calls)
    plain = [] if init else [c for c in calls if isinstance(c.func, cst.Name)]
    return next(iter([*named, *worked_out, *plain]), None)


def _settle(
    made: OptimizerCall,
    known: KnownOptimizer,
    outward: Sequence[Spot],
    file: Callable[[str], ScriptFile],
    sources: Iterable[str],
) -> None:
    """A function returns it: the assignment that takes it is known by the name that steps."""
    steps = set()
    for spot in known.stepped[:1]:
        if spot.file in sources:
            here = file(spot.file)
            steps |= {here.code(c) for c in here.calls_at(spot.line)}
    for spot in outward:
        if spot.file not in sources:
            return
        here = file(spot.file)
        statement = here.statement_at(spot.line)
        target = assigned(here, statement)
        if target is not None and any(f"{target}.step(" in s or f"({target})" in s for s in steps):
            made.live_at(here, statement, target)
            return


def number(x: float) -> str:
    """A number as a script would have it; exactly this one."""
    short = f"{x:.12g}"
    return short if float(short) == x else repr(x)


def scaled(code: str, factor: float) -> str:
    """An expression times a factor: one number where that is exact and short, else a product."""
    if _NUMBER.match(code.strip()):
        product = f"{float(code.replace('_', '')) * factor:.6g}"
        if float(product) == float(code.replace("_", "")) * factor:
            return product
    return f"{number(factor)} * {code}"
