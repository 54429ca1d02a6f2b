"""PKG.MOD:FACTORY, imported as `python -m` would from the current folder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ..lang import N_, _, sentences
from ..nearby import did_you_mean

_HOW = N_("write PKG.MOD:FACTORY, as in models:make_net (a function without arguments, or a class)")


class NoFactory(Exception):
    """No model can be had; the message says what was asked for, what is wrong and where."""


def find_factory(named: str) -> Any:
    """What PKG.MOD:FACTORY (or FILE.py:FACTORY) names.

    Raises:
        NoFactory: it has no colon, is not there, or its import fails.
    """
    where, colon, name = named.rpartition(":")
    if not colon or not where or not name:
        raise NoFactory(_("{name!r} names no factory: {how}.").format(name=named, how=_(_HOW)))
    _look_in(os.getcwd())
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else _import(where)
    except (NoFactory, KeyboardInterrupt):
        raise
    except BaseException as error:
        said = _("importing {module!r} failed: {error}")
        raise NoFactory(said.format(module=where, error=described(error))) from error
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            known = [n for n in vars(value) if not n.startswith("_")]
            near = did_you_mean(part, known, sentence=True)
            said = _("{module!r} has no {name!r}.").format(module=where, name=name)
            raise NoFactory(sentences(filter(None, (said, near))))
        value = getattr(value, part)
    return value


def make(factory: Any, named: str) -> Any:
    """The model: `factory()`, or the factory itself if it is a model already.

    Raises:
        NoFactory: it cannot be called without arguments, raises, or makes no torch.nn.Module.
    """
    from torch import nn

    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        said = _("{name!r} is a {kind}: {how}.")
        raise NoFactory(said.format(name=named, kind=type(factory).__name__, how=_(_HOW)))
    try:
        model = factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = _("{name}() failed: {error}")
        raise NoFactory(said.format(name=named, error=described(error))) from error
    if not isinstance(model, nn.Module):
        said = _("{name}() gave a {kind}, not a torch.nn.Module.")
        raise NoFactory(said.format(name=named, kind=type(model).__name__))
    return model


def described(error: BaseException) -> str:
    """Kind, message and the last place in the user's own code: "ValueError: no (net.py:12)"."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    own = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename)]
    return said + (f" ({own[-1].filename}:{own[-1].lineno})" if own else "")


def _is_users(file: str) -> bool:
    ours = str(Path(__file__).resolve().parents[1])
    return not file.startswith(("<", ours)) and not re.search(r"site-packages|lib/python3", file)


def _look_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _import(where: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{where}.".startswith(f"{error.name}."):
            raise  # it was found; something that it imports was not
        beside = (p.stem for p in Path.cwd().glob("*.py"))
        near = did_you_mean(where, beside, sentence=True)
        said = _("there is no module {name!r} here or installed.").format(name=where)
        raise NoFactory(sentences(filter(None, (said, near)))) from None


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NoFactory(_("there is no file {name!r}.").format(name=str(path)))
    _look_in(str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
