"""The ledger that `evenflow.explain` gives: a record, its words, and the way to one weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..lazy import shown_by
from .factors import LedgerRecord
from .render import as_dict, text
from .weight import WeightChain


@dataclass(frozen=True, slots=True)
class Ledger(LedgerRecord):
    __doc__ = LedgerRecord.__doc__

    unroll: Callable[[str, tuple[int, ...], int | None], WeightChain] | None = field(
        default=None, repr=False, compare=False
    )
    _repr_html_ = shown_by("evenflow.views", "ledger_html")

    def parameter(
        self, name: str, index: int | tuple[int, ...] = (), sample: int | None = None
    ) -> WeightChain:
        """The derivative for one weight, written out as a product of layer Jacobians.

        Call it before `loss.backward()`, which frees what it reads.

        Args:
            name: of the parameter, as in `model.named_parameters()`.
            index: of the weight in it: (i, j) for W[i, j].
            sample: position in the batch; None for the whole batch, summed.

        Raises:
            ValueError: a stored ledger; no such parameter, weight or sample; the graph was freed;
                or more than one way leads to the parameter (the message says where they part).

        >>> import torch, evenflow
        >>> model = torch.nn.Linear(2, 1)
        >>> loss = model(torch.tensor([[3.0, 1.0]])).sum()
        >>> chain = evenflow.explain(loss, model).parameter("weight", (0, 0))
        >>> print(str(chain).splitlines()[1].strip())
        1 × 3 = 3
        """
        if self.unroll is None:
            raise ValueError(
                "a stored run has norms, not the numbers of one weight: call "
                "evenflow.explain(loss, model) before loss.backward() and ask that ledger."
            )
        return self.unroll(name, (index,) if isinstance(index, int) else tuple(index), sample)

    def as_dict(self) -> dict[str, Any]:
        """Plain types for JSON, `{"schema": 1, ...}`; floats may be NaN or infinite."""

        return as_dict(self)

    def __str__(self) -> str:

        return text(self)
