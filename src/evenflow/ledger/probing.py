"""Running a loss's backward once to read it, and leaving no trace of that.

Nothing lands in `.grad`, the graph is kept, hooks come off again, no random number is drawn, and
a watch that is active neither sees these tensors nor counts this backward.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from ..tape import local, wide, widest

REENTRANT = (
    "reentrant checkpointing hides its inside from any backward but loss.backward(); use "
    "torch.utils.checkpoint.checkpoint(..., use_reentrant=False)."
)
Output = Tensor | GradientEdge


def backward(
    outputs: Sequence[Output],
    inputs: Sequence[Output],
    grads: Sequence[Tensor],
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """`torch.autograd.grad` with the graph kept, unseen by a watch.

    Raises:
        ValueError: the graph was freed, or holds something that cannot be run so.
    """
    # A watch patches the function above the engine; ours is no backward of the training.
    engine: Any = torch.autograd.Variable._execution_engine
    try:
        result: tuple[Tensor | None, ...] = engine.run_backward(
            tuple(outputs), tuple(grads), True, create_graph, tuple(inputs),
            allow_unreachable=True, accumulate_grad=False,
        )  # fmt: skip
    except RuntimeError as error:
        raise ValueError(_told(str(error))) from error
    return result


def _told(message: str) -> str:
    if "second time" in message or "already been freed" in message:
        return (
            "this loss's graph is gone: its backward() has run already. Call explain() after the "
            "forward and before loss.backward(), or use loss.backward(retain_graph=True)."
        )
    if "donated" in message:
        return (
            "a compiled model gives its buffers away and can be run backward only once: explain "
            "the model uncompiled, or set torch._functorch.config.donated_buffer = False."
        )
    return f"this loss's backward fails, so there is nothing to explain. Torch said: {message}"


@contextmanager
def isolated() -> Iterator[None]:
    """Keep our arithmetic out of the script's: no torch-function mode sees it, no graph grows."""
    with torch._C.DisableTorchFunction(), torch.no_grad():
        yield


@contextmanager
def kept_grads() -> Iterator[None]:
    """Restore what `retain_grad()` made tensors keep: any backward adds to it."""
    kept = [
        t
        for t in gc.get_objects()
        if issubclass(type(t), Tensor) and t.grad_fn is not None and t.retains_grad
    ]
    before = [(t, t.grad, None if t.grad is None else t.grad.clone()) for t in kept]
    try:
        yield
    finally:
        for t, grad, copy in before:
            if grad is not None and copy is not None:
                grad.copy_(copy)
            t.grad = grad


def norm(x: Tensor | None) -> float:
    """2-norm in float64; 0 of an undefined gradient, which stands for zeros."""
    if x is None:
        return 0.0
    x = flat(x)
    return float(torch.linalg.vector_norm(x, dtype=widest(x.device.type)))


def flat(x: Tensor) -> Tensor:
    """Real, dense, detached, of this rank's shard: what norms are taken of."""
    x = local(x).detach()
    if x.layout != torch.strided:
        x = x.coalesce().values() if x.layout == torch.sparse_coo else x.to_dense()
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def slope(sent: Tensor, received: Tensor) -> float:
    """√Eφ'² of an elementwise op, where an error arrived: φ' = δ_in/δ_out there, exactly.

    Works on gradients of one shape; NaN if no element of the error is other than zero.
    """
    d_in, d_out = wide(flat(sent)), wide(flat(received))
    there = d_out != 0
    count = int(there.sum())
    if not count:
        return math.nan
    ratio = torch.where(there, d_in / torch.where(there, d_out, 1.0), 0.0)
    return math.sqrt(float(ratio.square().sum()) / count)


class Meeting:
    """Collects the parts of one node's δ as they are sent, and tells their shares.

    A part goes to one of the node's outputs (`slot`); δ is all outputs together. Parts are held
    by reference: the engine adds up in place only what nobody else holds.
    """

    def __init__(self, parts: int) -> None:
        self._waiting = parts
        self._parts: dict[tuple[Any, int], tuple[int, Tensor | None]] = {}
        self.shares: dict[tuple[Any, int], float] = {}

    def add(self, sender: tuple[Any, int], slot: int, part: Tensor | None) -> None:
        """One part; `sender` is (vertex, edge). With the last one, shares are taken."""
        self._parts[sender] = (slot, None if part is None else flat(part))
        if len(self._parts) == self._waiting:
            self._divide()

    def _divide(self) -> None:
        whole: dict[int, Tensor] = {}
        for slot, part in self._parts.values():
            if part is not None:
                more = wide(part)
                whole[slot] = whole[slot] + more if slot in whole else more
        total = sum(norm(w) ** 2 for w in whole.values())
        for sender, (slot, part) in self._parts.items():
            inner = 0.0
            if part is not None:
                w = whole[slot]
                inner = float((part.to(w.dtype) * w).sum())
            self.shares[sender] = inner / total if total else math.nan
        self._parts.clear()


def hooked(nodes: Sequence[Any], read: Callable[[Any, Any, Any], None]) -> Callable[[], None]:
    """Call read(node, grad_inputs, grad_outputs) as each node runs; the result takes it all off.

    A hook must not hold its own node, which would keep the graph alive for ever: the node is
    looked up by its place in the list, which dies with the hooks.
    """
    alive: list[Any] = list(nodes)

    def make(place: int) -> Callable[[Any, Any], None]:
        def post(grad_inputs: Any, grad_outputs: Any) -> None:
            read(alive[place], grad_inputs, grad_outputs)

        return post

    handles = [node.register_hook(make(i)) for i, node in enumerate(alive)]

    def off() -> None:
        for handle in handles:
            handle.remove()
        alive.clear()

    return off
