"""Public names that are fetched at first use, so that importing a package costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, modules: Mapping[str, str], needs: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names live in `modules`: module -> names.

    `needs`: of a module that may not be installed, what a ModuleNotFoundError says is needed.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def fetch(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(f".{homes[name]}", package), name)
        except ModuleNotFoundError as error:
            said = (needs or {}).get((error.name or "").partition(".")[0])
            if said is None:
                raise
            raise ModuleNotFoundError(f"{package}.{name} needs {said}", name=error.name) from None
        setattr(sys.modules[package], name, value)
        return value

    return fetch, lambda: sorted({*vars(sys.modules[package]), *homes})


def shown_by(module: str, name: str) -> Callable[[Any], str]:
    """A `_repr_html_` for a record that lies below what draws it: `name` of `module`, fetched when
    a notebook asks. Nothing of the layer above is imported before, or anywhere else."""

    def show(self: Any) -> str:
        return str(getattr(import_module(module), name)(self))

    return show
