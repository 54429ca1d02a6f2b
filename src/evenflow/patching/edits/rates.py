"""The optimizer's settings: written into the call that makes it, or set right after it."""

from __future__ import annotations

import re

import libcst as cst

from ...lang import _
from ...treatments import OPTIMIZERS, Parsed
from ..editing import Editing
from ..optimizer_call import OptimizerCall, number
from ..patch import Unfit
from ..script_file import ScriptFile
from ..step_place import StepPlace

_SHARE = '''
def share_rate(optimizer, *shares):
    """Make update t at the rate that is set for it, times each of shares(t)."""
    updates, rates = [0], []

    def before(optimizer, args, kwargs):
        rates[:] = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            for share in shares:
                group["lr"] = group["lr"] * share(updates[0])

    def after(optimizer, args, kwargs):
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = rate
        updates[0] += 1

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)
'''
#: Schedules that set rates of their own, whatever the optimizer was made with.
_ABSOLUTE = ("OneCycleLR", "CyclicLR")


def rate(editing: Editing, p: Parsed) -> None:
    """Another rate, or the script's own times a factor."""
    for call in editing.optimizers():
        if p.value.fixed and call.known.scheduled in _ABSOLUTE:
            said = _("{schedule} sets the rate by itself.").format(schedule=call.known.scheduled)
            raise Unfit(said, call.spot)
        if not call.open("lr"):
            call.name()
        if p.value.fixed:
            call.fixed = p.value.number
        else:
            call.factor = (1.0 if call.factor is None else call.factor) * p.value.number
        editing.did(p, call.file, _("the optimizer's learning rate"))


def momentum(editing: Editing, p: Parsed) -> None:
    """Momentum, or the first of betas."""
    for call in editing.optimizers():
        if not call.open("betas" if call.known.cls not in ("SGD", "RMSprop") else "momentum"):
            call.name()
        call.momentum = p.value
        editing.did(p, call.file, _("the optimizer's momentum"))


def another(editing: Editing, p: Parsed) -> None:
    """Another class of optimizer, over the same parameters."""
    name, usual = OPTIMIZERS[p.value.name]
    for call in editing.optimizers():
        if call.known.groups > 1 or not call.call.args or call.call.args[0].star:
            said = _("its parameters are in groups with settings of their own.")
            raise Unfit(said, call.spot)
        if call.known.scheduled in _ABSOLUTE:
            said = _("{schedule} sets the rate by itself.").format(schedule=call.known.scheduled)
            raise Unfit(said, call.spot)
        call.made = name, usual if p.value.rate is None else p.value.rate
        editing.did(p, call.file, _("another optimizer in its place"))


def share(editing: Editing, p: Parsed) -> None:
    """A rate that rises at first, or falls along a line: by LambdaLR where the script has no
    schedule and one line that steps; else by hooks of the optimizer's own."""
    both = [q for q in editing.course if q.entry.kind in ("warmup", "decay")]
    for call in editing.optimizers():
        call.name()
        editing.did(p, call.file, _("a schedule of the learning rate"))
        if p is not both[0]:
            continue  # written with the first
        shares = [_lambda(q) for q in both]
        step = _step(editing, call) if len(shares) == 1 else None
        if step is not None:
            _scheduler(call, step, shares[0])
        else:
            function = editing.names(call.home_file).function(_SHARE, call.home)
            call.below.append(f"{function}({call.name()}, {', '.join(shares)})")


def _lambda(p: Parsed) -> str:
    n = p.value
    if p.entry.kind == "warmup":
        return f"lambda t: min(1.0, (t + 1) / {n})"
    return f"lambda t: max({number(0.01)}, 1 - t / {n})"


def _step(editing: Editing, call: OptimizerCall) -> StepPlace | None:
    """The one line that steps this optimizer, if a schedule made beside it is in sight there."""
    if call.known.scheduled or call.known.scaler or call.known.closure:
        return None
    try:
        steps = [s for s in editing.steps() if s.known is call.known]
    except Unfit:
        return None
    name = call.name()
    if len(steps) != 1 or steps[0].file is not call.home_file or steps[0].optimizer != name:
        return None
    step = steps[0]
    if not isinstance(step.statement, cst.SimpleStatementLine) or len(step.statement.body) > 1:
        return None
    file = call.home_file
    kind = cst.ClassDef if "." in name else cst.FunctionDef
    here, there = file.within(call.home, kind), file.within(step.statement, kind)
    return step if here is there or (here is None and "." not in name) else None


def _scheduler(call: OptimizerCall, step: StepPlace, share: str) -> None:
    file, name = call.home_file, call.name()
    own = _free(file, "schedule")
    schedule = f"{name.rpartition('.')[0]}.{own}" if "." in name else own
    call.below.append(f"{schedule} = torch.optim.lr_scheduler.LambdaLR({name}, {share})")
    step.below.append(f"{schedule}.step()")


def _free(file: ScriptFile, name: str) -> str:
    """A name that the file does not use yet."""
    while re.search(rf"\b{name}\b", file.text):
        name = f"own_{name}"
    return name
