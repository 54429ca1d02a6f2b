"""The module of the user's that a wrapper holds. Without torch: its classes are known by name."""

from __future__ import annotations

from typing import TypeVar

Module = TypeVar("Module")
_PARALLEL = frozenset(("DataParallel", "DistributedDataParallel"))


def unwrap(module: Module) -> Module:
    """The user's module inside torch.compile's, DataParallel's and DDP's wrappers, and those of
    classes made from them; whatever else has an attribute `module` is the user's own."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if not _is_module(inner) and any(c.__name__ in _PARALLEL for c in type(module).__mro__):
            inner = getattr(module, "module", None)
        if not _is_module(inner):
            return module
        module = inner  # type: ignore[assignment]


def _is_module(x: object) -> bool:
    return callable(getattr(x, "named_modules", None))
