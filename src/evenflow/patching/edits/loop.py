"""Faults of the loop itself, where their form shows what to write."""

from __future__ import annotations

import re

import libcst as cst

from ...lang import _
from ...treatments import Parsed, Spot
from ..editing import Editing
from ..patch import Unfit
from ..script_file import ScriptFile
from ..targets import add_keyword, assigned, keyword, last_name, starred

#: Losses with a softmax or sigmoid of their own.
_OWN = ("cross_entropy", "CrossEntropyLoss", "binary_cross_entropy_with_logits")


def order(editing: Editing, p: Parsed) -> None:
    """zero_grad, backward, step: what is missing of them."""
    file, backward = _backward(editing)
    calls = editing.optimizers()
    if len(calls) != 1:
        raise Unfit(_("several optimizers take turns here."))
    try:
        optimizer = editing.steps()[0].optimizer
        stepped = True
    except Unfit:
        optimizer, stepped = calls[0].name(), False
    cleared = re.search(r"\.zero_grad\(|\.grad\s*=\s*None", file.text)
    if cleared and stepped:
        raise Unfit(_("all three calls are there: their order is a matter of the loop's meaning."))
    if not cleared:
        file.before(backward, [f"{optimizer}.zero_grad()"])
        editing.did(p, file, _("gradients cleared before each backward pass"))
    if not stepped:
        file.after(backward, [f"{optimizer}.step()"])
        editing.did(p, file, _("an update after each backward pass"))


def _backward(editing: Editing) -> tuple[ScriptFile, cst.SimpleStatementLine]:
    """The one statement that calls backward, measured or by form."""
    found = []
    for name in editing.sources:
        file = editing.file(name)
        calls = [c for c in file.calls() if last_name(c.func) == "backward"]
        found += [(file, file.statement_of(c)) for c in calls]
    if len(found) != 1 or not isinstance(found[0][1], cst.SimpleStatementLine):
        raise Unfit(_("it is not one line that calls backward()."))
    file, statement = found[0]
    if len(statement.body) > 1 or not file.own_line(statement):
        raise Unfit(_("backward() shares its line with other statements."))
    return file, statement


def logits(editing: Editing, p: Parsed) -> None:
    """The softmax or sigmoid before a loss that has its own goes."""
    softmaxes: list[tuple[ScriptFile, cst.Call]] = []
    own = False
    for name in editing.sources:
        file = editing.file(name)
        for call in file.calls():
            called = last_name(call.func)
            own = own or called in _OWN
            if called in ("softmax", "Softmax", "log_softmax", "LogSoftmax", "sigmoid", "Sigmoid"):
                softmaxes.append((file, call))
    soft = [(f, c) for f, c in softmaxes if "oftmax" in last_name(c.func)]
    found = soft or softmaxes
    if not own or len(found) != 1:
        raise Unfit(_("it does not show which of {n} calls goes.").format(n=len(found)))
    file, call = found[0]
    if last_name(call.func) in ("Softmax", "LogSoftmax", "Sigmoid"):
        file.replace(call, editing.names(file).adapt("torch.nn.Identity()"))
    else:
        _take_off(file, call, _inner(file, call))
    editing.did(p, file, _("raw scores into the loss"))


def _take_off(file: ScriptFile, call: cst.Call, inner: str) -> None:
    """What is left of a call; nothing of `s = s.softmax(1)`, or `pass` where it stands alone."""
    statement = file.statement_of(call)
    if assigned(file, statement) != inner:
        file.replace(call, inner)
        return
    block = file.parents[statement]
    if isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        file.replace(statement, "pass  # raw scores: the loss has a softmax of its own")
    else:
        file.delete(statement)


def _inner(file: ScriptFile, call: cst.Call) -> str:
    """What a function or method is called on."""
    function = call.func
    if isinstance(function, cst.Attribute) and not re.fullmatch(
        r"(?:torch|F|nn|[\w.]*functional)", file.code(function.value)
    ):
        return file.code(function.value)
    return file.code(call.args[0].value)


def train_mode(editing: Editing, p: Parsed) -> None:
    """`model.train()` where the loop over batches begins."""
    file, backward = _backward(editing)
    inner = file.within(backward, (cst.For, cst.While))
    outer = inner
    while (above := file.within(outer, (cst.For, cst.While, cst.FunctionDef))) is not None:
        if isinstance(above, cst.FunctionDef):
            break
        outer = above
    models = [m for o in editing.known.optimizers for m in o.step_models]
    if inner is None or not models or not file.own_line(inner):
        raise Unfit(_("no loop around backward() with the model in sight was seen."))
    if inner is outer:
        first = inner.body.body[0]
        file.before(first, [f"{models[0]}.train()"])
    else:
        file.before(inner, [f"{models[0]}.train()"])
    editing.did(p, file, _("training mode at the beginning of each pass"))


def shuffle(editing: Editing, p: Parsed) -> None:
    """`shuffle=True` where the one DataLoader of the training is made."""
    loaders = [
        (file, call)
        for name in editing.sources
        for file in (editing.file(name),)
        for call in file.calls()
        if last_name(call.func) == "DataLoader"
    ]
    train = [(f, c) for f, c in loaders if "train" in f.code(f.statement_of(c))] or loaders
    if len(train) != 1 or starred(train[0][1]):
        raise Unfit(_("it does not show which DataLoader feeds the training."))
    file, call = train[0]
    given = keyword(call, "shuffle")
    if (
        keyword(call, "sampler")
        or keyword(call, "batch_sampler")
        or (len(call.args) > 2 and not given and call.args[2].keyword is None)
    ):
        spot = Spot(file.name, file.line(call))
        raise Unfit(_("the loader has a sampler, which decides about the order."), spot)
    if given is not None:
        file.replace(given.value, "True")
    else:
        add_keyword(file, call, "shuffle=True")
    editing.did(p, file, _("batches that mix the data"))


def average(editing: Editing, p: Parsed) -> None:
    """`reduction="mean"` in the place of "sum"."""
    found = []
    for name in editing.sources:
        file = editing.file(name)
        for call in file.calls():
            given = keyword(call, "reduction")
            if given is not None and file.code(given.value).strip("\"'") == "sum":
                found.append((file, given))
    if len(found) != 1:
        raise Unfit(_("the loss is summed by other means than its reduction."))
    file, given = found[0]
    file.replace(given.value, file.code(given.value).replace("sum", "mean"))
    editing.did(p, file, _("a loss that is a mean"))


def decay(editing: Editing, p: Parsed) -> None:
    """Less weight decay, of the size that is usual for the optimizer."""
    for call in editing.optimizers():
        if call.argument("weight_decay") is None:
            raise Unfit(_("the weight decay is not given where the optimizer is made."), call.spot)
        call.set("weight_decay", "0.01" if call.known.cls == "AdamW" else "1e-4")
        editing.did(p, call.file, _("less weight decay"))


def unscaled(editing: Editing, p: Parsed) -> None:
    """`unscale_` before the gradients are clipped."""
    for place in editing.steps():
        place.fit()
        clips = [c for c in place.file.calls() if last_name(c.func).startswith("clip_grad_")]
        if not place.scaler or len(clips) != 1 or ".unscale_(" in place.file.text:
            raise Unfit(
                _("the limit of the clipping is a matter of the gradients' size."), place.spot
            )
        statement = place.file.statement_of(clips[0])
        place.file.before(statement, [f"{place.scaler}.unscale_({place.optimizer})"])
        editing.did(p, place.file, _("gradients unscaled before they are clipped"))


EDITS = {
    "edit=step": order,
    "edit=logits": logits,
    "edit=train-mode": train_mode,
    "edit=shuffle": shuffle,
    "edit=average": average,
    "edit=decay": decay,
    "edit=clip": unscaled,
}
