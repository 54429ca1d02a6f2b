"""Change what a module computes, for good and in place: a class-level forward with grafts around.

A patched *instance* forward would survive `deepcopy` bound to the old weights, and hooks are
ignored by code that is already compiled. So a grafted module gets a subclass of its own class
whose `forward` runs the original one inside its grafts; grafts are real child modules, so that
copies, `.to()`, `state_dict` and pickles carry them. Parameters keep their names and identity.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

#: Name of the child that holds a module's grafts.
HOME = "evenflow_grafts"

Forward = Callable[..., Any]


class Graft(nn.Module):
    """Something put around a module's forward. Whoever writes one gives `around`; `own_dtype` says
    that its numbers keep their dtype in a model of half precision."""

    own_dtype = False

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        """Call `inner(*args, **kwargs)`, with what comes before and after; its return value."""
        raise NotImplementedError


_made: dict[type[nn.Module], type[nn.Module]] = {}


def grafted(cls: type[nn.Module]) -> type[nn.Module]:
    """A subclass of `cls` whose forward runs `cls.forward` inside the instance's grafts."""
    if cls in _made:
        return _made[cls]

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        inner: Forward = partial(cls.forward, self)
        for graft in getattr(self, HOME):  # the first one is the innermost
            inner = partial(graft.around, inner)
        return inner(*args, **kwargs)

    def reduce(self: nn.Module, protocol: Any) -> Any:
        found: Any = super(made, self).__reduce_ex__(protocol)
        return (_blank, (cls,), *found[2:])

    meta: Any = type(cls)
    made: type[nn.Module] = meta(
        cls.__name__,
        (cls,),
        {
            "forward": forward,
            "__reduce_ex__": reduce,
            "__module__": cls.__module__,
            "__doc__": cls.__doc__,
            "__qualname__": cls.__qualname__,
        },
    )
    _made[cls] = made
    return made


def _blank(cls: type[nn.Module]) -> nn.Module:
    made = grafted(cls)
    return made.__new__(made)


def graft_(module: nn.Module, graft: Graft) -> None:
    """Put `graft` around all that `module` computes so far.

    ValueError for containers that call whatever children they have: the graft would be one.
    """
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        raise ValueError(
            f"{type(module).__name__} calls each of its children: nothing can be put around it; "
            "choose a module inside."
        )
    if not hasattr(module, HOME):
        module.__class__ = grafted(type(module))
        module.add_module(HOME, nn.ModuleList())
    graft.train(module.training)
    getattr(module, HOME).append(graft)


def outermost(module: nn.Module, *, last: bool = False) -> nn.Module:
    """The module that first sees the data: the first child of a Sequential, its first child...; or
    the `last` ones, whose output is the network's."""
    while type(module).forward is nn.Sequential.forward and len(module._modules):
        children = [m for m in module._modules.values() if m is not None]
        module = children[-1 if last else 0]
    return module
