"""The surface: what every command's help says, and the public names with their signatures."""

from __future__ import annotations

import enum
import importlib
import inspect
import io
import os
import re
from contextlib import redirect_stdout
from typing import Any
from unittest import mock

import typer

from evenflow.cli import main
from evenflow.cli.app import app


def commands() -> list[tuple[str, ...]]:
    """Every command and command of a command; the first is the program itself."""
    found: list[tuple[str, ...]] = [()]
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        words, group = waiting.pop()
        for name, command in getattr(group, "commands", {}).items():
            found.append((*words, name))
            waiting.append(((*words, name), command))
    return sorted(found)


def help_of(words: tuple[str, ...]) -> list[str]:
    """The lines of `--help`, 80 columns wide."""
    out = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": "80"}), redirect_stdout(out):
        assert main([*words, "--help"]) == 0
    return [line.rstrip() for line in out.getvalue().splitlines()]


def signatures(module: str) -> dict[str, Any]:
    """Public name -> how it is called; of a class, each public member too."""
    home = importlib.import_module(module)
    return {name: _told(getattr(home, name)) for name in sorted(home.__all__) if name[0] != "_"}


def _told(value: Any) -> Any:
    if not inspect.isclass(value):
        return _called(value) if callable(value) else type(value).__name__
    if issubclass(value, enum.Enum):
        return {"values": [f"{m.name} = {m.value}" for m in value]}
    if issubclass(value, BaseException):
        return {"bases": [b.__name__ for b in value.__mro__[1:-1]]}
    ours = [base for base in value.__mro__ if base.__module__.startswith("evenflow")]
    members = {
        name: _member(inspect.getattr_static(value, name))
        for name in sorted({name for base in ours for name in vars(base)})
        if not name.startswith("_")
    }
    return {"(call)": _called(value), **members}


def _member(value: Any) -> str:
    if isinstance(value, (classmethod, staticmethod)):
        return f"{type(value).__name__} {_called(value.__func__)}"
    return _called(value) if inspect.isfunction(value) else "attribute"


def _called(value: Any) -> str:
    """Its signature; annotations without quotes, which Pythons set differently."""
    said = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(value)))
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", said)
