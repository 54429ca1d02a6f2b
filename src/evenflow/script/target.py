"""What is to be run: its code, and the names `python` would have given its `__main__`."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

from ..lang import _, sentences
from ..nearby import did_you_mean
from .program import Program


class NoTarget(Exception):
    """There is nothing to run; the message says what was asked for and what may be meant."""


@dataclass(frozen=True, slots=True)
class Target:
    """A thing to run. `code` compiles late, so that a SyntaxError is the script's own."""

    argv: list[str]
    folder: str | None  # sys.path[0]; None leaves it alone
    names: dict[str, Any]
    code: Callable[[], CodeType]


def find(program: Program) -> Target:
    """What the program names. Raises NoTarget, or what a package's own `__init__` raises."""
    if program.module:
        return _module(program)
    if os.path.isdir(program.target) or program.target.endswith((".zip", ".pyz")):
        return _archive(program)
    return _script(program)


def _script(program: Program) -> Target:
    path = os.path.abspath(program.target)
    if not os.path.isfile(path):
        said = _("there is no file {name!r}.").format(name=program.target)
        raise NoTarget(said + hint(program.target))

    def code() -> CodeType:
        with io.open_code(path) as file:
            return compile(file.read(), path, "exec", dont_inherit=True)

    loader = importlib.machinery.SourceFileLoader("__main__", path)
    return Target(
        argv=[program.target, *program.args],
        folder=os.path.dirname(os.path.realpath(path)),
        names=_names(path, None, loader, None),
        code=code,
    )


def _module(program: Program) -> Target:
    """As `python -m`: the module is looked for with the current folder first on the path."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd()
    sys.argv[:] = ["-m", *program.args]  # what a package's __init__ sees meanwhile
    name = program.target
    if name.endswith(".py") and os.path.isfile(name):  # finding it would run it as a package
        said = _("the module {name!r} was not found. Without -m, a file is run.")
        raise NoTarget(said.format(name=name))
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the package was found; something that it imports was not
        said = _("there is no module {name!r}: {error}.").format(name=name, error=error)
        raise NoTarget(said) from None
    if spec is None or spec.loader is None:
        if name != program.target:
            said = _("the module {name!r} is a package with no __main__.")
        else:
            said = _("the module {name!r} was not found.")
        raise NoTarget(said.format(name=program.target))
    return _from_spec(spec, program, folder=None)


def _archive(program: Program) -> Target:
    """A folder or zip that holds a `__main__.py`."""
    spec = importlib.machinery.PathFinder.find_spec("__main__", [program.target])
    if spec is None or spec.loader is None:
        raise NoTarget(_("{name!r} holds no __main__.py to run.").format(name=program.target))
    return _from_spec(spec, program, folder=os.path.abspath(program.target))


def _from_spec(
    spec: importlib.machinery.ModuleSpec, program: Program, folder: str | None
) -> Target:
    loader: Any = spec.loader

    def code() -> CodeType:
        found = loader.get_code(spec.name)
        if found is None:
            raise ImportError(f"no code object for {spec.name}", name=spec.name)
        return found  # type: ignore[no-any-return]

    return Target(
        argv=[program.target if folder else (spec.origin or program.target), *program.args],
        folder=folder,
        names=_names(spec.origin, spec, loader, spec.parent),
        code=code,
    )


def _names(file: str | None, spec: Any, loader: Any, package: str | None) -> dict[str, Any]:
    return {
        "__file__": file,
        "__spec__": spec,
        "__loader__": loader,
        "__package__": package,
        "__cached__": spec.cached if spec else None,
        "__annotations__": {},
        "__builtins__": builtins,
    }


def hint(name: str) -> str:
    """What may have been meant: a file beside it, or a module."""
    folder = os.path.dirname(name) or "."
    if not os.path.isdir(folder):
        said = _("There is no folder {folder!r} either.").format(folder=folder)
        return sentences(("", said))
    wanted, beside = os.path.basename(name), os.path.dirname(name)
    near = did_you_mean(
        wanted, os.listdir(folder), write=lambda n: repr(os.path.join(beside, n)), sentence=True
    )
    if near:
        return sentences(("", near))
    if name.endswith(".py"):
        return ""
    return sentences(("", _("To run a module, put -m before its name.")))
