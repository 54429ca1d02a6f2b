"""Copies of a model that were made before it was treated, such as moving averages.

`copy.deepcopy(model)` is common right after the model is built. Such a copy would keep the old
weights and, where a treatment adds parameters, no longer match the model it averages.
"""

from __future__ import annotations

import copy
import weakref
from typing import Any

from torch import nn


class Copies:
    """Notes deep copies of modules while it watches; holds neither side."""

    def __init__(self) -> None:
        self._made: weakref.WeakKeyDictionary[nn.Module, weakref.WeakSet[nn.Module]] = (
            weakref.WeakKeyDictionary()
        )
        self._watching = False

    def watch(self) -> None:
        """From now on; a module class with a `__deepcopy__` of its own is not seen."""
        if self._watching or hasattr(nn.Module, "__deepcopy__"):
            return
        self._watching = True

        def deepcopied(module: Any, memo: dict[int, Any]) -> Any:
            new = copy._reconstruct(module, memo, *module.__reduce_ex__(4))  # type: ignore[attr-defined]
            self._made.setdefault(module, weakref.WeakSet()).add(new)
            return new

        nn.Module.__deepcopy__ = deepcopied  # type: ignore[attr-defined]

    def unwatch(self) -> None:
        """No longer."""
        if self._watching:
            self._watching = False
            del nn.Module.__deepcopy__  # type: ignore[attr-defined]

    def of(self, module: nn.Module) -> list[nn.Module]:
        """Its living copies, and theirs."""
        found: list[nn.Module] = []
        waiting = [module]
        while waiting:
            for made in self._made.get(waiting.pop(), ()):
                if made not in found:
                    found.append(made)
                    waiting.append(made)
        return found


def follow(old: nn.Module, treated: nn.Module) -> None:
    """Make an earlier copy equal to the treated model; it stays the same object.

    Its parameters are new objects; it stays frozen, or in evaluation mode, if it was.
    """
    training = old.training
    frozen = not any(p.requires_grad for p in old.parameters())
    fresh = copy.deepcopy(treated)
    old.__class__ = fresh.__class__
    old.__dict__.clear()
    old.__dict__.update(fresh.__dict__)
    old.train(training)
    if frozen:
        old.requires_grad_(False)
