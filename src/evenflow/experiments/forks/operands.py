"""What meets the graph after a root's forward: targets, masks, weights of a loss. Noted in the
first step and given again in those after it: a batch is repeated though the loss is no function.

    loss = F.mse_loss(model(x), y)         y is noted at `mse_loss`, and given again there
    loss = -logits.log_softmax(1)[range(n), y].mean()       y at `__getitem__`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..listening import sides
from .found import OTHER_LOSS

#: No operations: what a tensor is asked for.
_ASKED = frozenset({"__get__", "__set__", "backward", "register_hook", "requires_grad_", "size"})
_LOSSES = ("loss", "cross_entropy", "kl_div")


@dataclass(frozen=True, slots=True)
class MetData:
    """An operation in which the graph met data: its name, and all it was given but the graph."""

    op: str
    data: tuple[Any, ...]


class Operands(TorchFunctionMode):
    """Sees the operations outside of modules in which a tensor with a gradient takes part.

    Attributes:
        change: of every piece of data there; None leaves it.
        met: those of the first step, in order.
        targets: data that a loss function was given as its target in the first step.
        open: a loss is under way: from a root's call until its backward.
        lost: how replay failed, "" if it did not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met: list[MetData] = []
        self.targets: list[Tensor] = []
        self.open = self.replaying = self.inside = self.paused = False
        self.change: Callable[[Any], Any] | None = None
        self.lost = ""
        self._at = 0

    def step(self, replay: bool) -> None:
        """A step is over; in those to come give the first one's data again."""
        self.replaying, self._at = replay, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.paused or not self.open or name in _ASKED:
            return func(*args, **kwargs)
        leaves, form = tree_flatten((args, kwargs))
        graph = [isinstance(v, Tensor) and v.requires_grad for v in leaves]
        if not any(graph):
            return func(*args, **kwargs)
        if any([w in name for w in _LOSSES]):
            self._target(args, kwargs)
        if self.inside:
            return func(*args, **kwargs)
        self.paused = True
        try:
            data = [v for v, g in zip(leaves, graph, strict=True) if not g]
            data = self._given(name, data)
            data = [self.change(v) for v in data] if self.change is not None else data
        finally:
            self.paused = False
        rest = iter(data)
        leaves = [v if g else next(rest) for v, g in zip(leaves, graph, strict=True)]
        args, kwargs = tree_unflatten(leaves, form)
        return func(*args, **kwargs)

    def _given(self, name: str, data: list[Any]) -> list[Any]:
        """The data of this operation: its own, or the first step's."""
        if not self.replaying:
            self.met.append(MetData(name, tuple([copied(v) for v in data])))
            return data
        if self.lost:
            return data
        met = self.met[self._at % len(self.met)] if self.met else None
        self._at += 1
        if met is None or met.op != name or len(met.data) != len(data):
            self.lost = OTHER_LOSS
            return data
        return [b if isinstance(a, (Tensor, float, int)) else a
                for a, b in zip(data, met.data, strict=True)]  # fmt: skip

    def _target(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        places = sides(args, kwargs)
        self.targets += [t for t in places if isinstance(t, Tensor) and not t.requires_grad]


def copied(value: Any) -> Any:
    """A tensor of its own: a script may write into what it has given."""
    return value.detach().clone() if isinstance(value, Tensor) else value
