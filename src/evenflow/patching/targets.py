"""By which expression something is in sight at a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import libcst as cst

from .script_file import ScriptFile


def in_sight(models: Mapping[str, int], root: int, code: str) -> str | None:
    """The expression for a root that a piece of code uses itself, else the shortest."""
    found = sorted((m for m, k in models.items() if k == root), key=lambda m: (len(m), m))
    used = [m for m in found if re.search(rf"(?<![\w.]){re.escape(m)}\b", code)]
    return next(iter([*used, *found]), None)


def assigned(file: ScriptFile, statement: Any) -> str | None:
    """The one name or attribute that a statement assigns to; None if it is no such statement."""
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
        return None
    small = statement.body[0]
    if isinstance(small, cst.Assign) and len(small.targets) == 1:
        target: Any = small.targets[0].target
    elif isinstance(small, cst.AnnAssign) and small.value is not None:
        target = small.target
    else:
        return None
    return file.code(target) if isinstance(target, (cst.Name, cst.Attribute)) else None


def last_name(node: Any) -> str:
    """What a call's function is called: `SGD` of `torch.optim.SGD`."""
    if isinstance(node, cst.Attribute):
        return str(node.attr.value)
    return str(node.value) if isinstance(node, cst.Name) else ""


def keyword(call: cst.Call, name: str) -> cst.Arg | None:
    """A call's argument of this name, if it is given by name."""
    return next((a for a in call.args if a.keyword is not None and a.keyword.value == name), None)


def starred(call: cst.Call) -> bool:
    """Are there arguments whose names do not show?"""
    return any(a.star for a in call.args)


def add_keyword(file: ScriptFile, call: cst.Call, text: str) -> None:
    """Put `name=value` behind a call's last argument, on a line of its own where those stand so."""
    if not call.args:
        at = file.span(call)[1] - 1
        file.insert(at, text)
        return
    last = call.args[-1]
    line, column = file.places[last].start.line, file.places[last].start.column
    own = len(call.args) > 1 and file.places[call.args[-2]].end.line < line
    own = own or (len(call.args) == 1 and file.places[call].start.line < line)
    end = file.span(last.value)[1]
    file.insert(end, f",\n{' ' * column}{text}" if own else f", {text}")
