"""One torch function under way."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..network import Op
from .attention import Attention
from .frames import Frame, Thread


class OpCall:
    """One torch function under way: what went in, known before in-place ops overwrite it.

    `known` is the site, where it was met before and only its core readings are to be taken; what
    it reads need not be looked up again then, and `inputs` and `params` stay empty.
    """

    __slots__ = (
        "args", "frame", "inner", "inputs", "key", "known", "kwargs", "op", "params", "sealed",
        "seq", "tensors",
    )  # fmt: skip

    def __init__(
        self,
        op: Op,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seq: int,
        known: int | None,
        frame: Frame,
        thread: Thread,
    ) -> None:
        self.op, self.args, self.kwargs, self.seq, self.known = op, args, kwargs, seq, known
        self.frame, self.key, self.sealed = frame, thread.key, thread.sealed
        self.tensors: list[Tensor] = []
        self.inputs: list[int] = []
        self.params: list[int] = []
        self.inner: Attention | None = None
