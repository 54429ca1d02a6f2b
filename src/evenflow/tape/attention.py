"""How evenly attention attends: read inside multi-head attention, which is one op to the mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..whose import theirs
from . import numbers
from .given import input_of
from .isolation import unheard
from .scalars import Scalar

_open: list[Attention] = []


class Attention:
    """Catches the q, k (or the weights) of the attention that runs while it is entered.

    `F.multi_head_attention_forward` is seen as one function; what it calls inside comes by the
    names `scaled_dot_product_attention` and `softmax` of its own module, which are replaced for
    the length of that one call.
    """

    def __init__(self) -> None:
        self._caught: tuple[Tensor, Tensor, dict[str, Any]] | None = None
        self._weights: Tensor | None = None
        self._scores: Tensor | None = None  # that the weights are made of
        self._old: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def __enter__(self) -> None:
        inner, softmax = F.scaled_dot_product_attention, F.softmax
        self._old = (inner, softmax)

        def attend(q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            _quietly(self.see, (q, k, v, *args), kwargs, "scaled_dot_product_attention")
            return inner(q, k, v, *args, **kwargs)

        def weigh(*args: Any, **kwargs: Any) -> Tensor:
            out = softmax(*args, **kwargs)
            _quietly(self._weighed, out, input_of(args, kwargs))
            return out

        functional: Any = F
        _open.append(self)
        functional.scaled_dot_product_attention, functional.softmax = attend, weigh

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._old is not None:
            functional: Any = F
            functional.scaled_dot_product_attention, functional.softmax = self._old
            self._old = None
        if self in _open:
            _open.remove(self)

    def _weighed(self, out: Tensor, scores: Any) -> None:
        self._weights = out.detach()
        self._scores = scores.detach() if isinstance(scores, Tensor) else None

    def see(self, args: tuple[Any, ...], kwargs: dict[str, Any], op: str) -> None:
        """Note q, k and the mask of a scaled_dot_product_attention call."""
        if op != "scaled_dot_product_attention" or self._caught is not None:
            return
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        named = {**dict(zip(names, args, strict=False)), **kwargs}
        self._caught = (named["query"].detach(), named["key"].detach(), named)

    def readings(self) -> list[tuple[str, Scalar]]:
        """entropy, entropy_min and logit_max, of at most 4 samples and 64 queries."""
        out: list[tuple[str, Scalar]] = []
        if self._caught is not None:
            q, k, named = self._caught
            if k.shape[-2] < 2:
                return out
            scale = named.get("scale") or 1 / math.sqrt(q.shape[-1])
            every = max(1, math.ceil(q.shape[-2] / numbers.QUERIES))
            index = torch.arange(0, q.shape[-2], every, device=q.device)
            if q.dim() > 3:
                q, k = q[: numbers.SAMPLES], k[: numbers.SAMPLES]
            if k.dim() > 2 and q.shape[-3] != k.shape[-3]:  # grouped-query attention
                k = k.repeat_interleave(q.shape[-3] // k.shape[-3], -3)
            logits = (q.index_select(-2, index).float() @ k.float().transpose(-1, -2)) * scale
            mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device)
            if named.get("is_causal"):
                mask = torch.arange(k.shape[-2], device=q.device)[None] <= index[:, None]
            given = named.get("attn_mask")
            if given is not None:
                if given.dim() > 3:
                    given = given[: numbers.SAMPLES]
                if given.shape[-2] > 1:
                    given = given.index_select(-2, index)
                if given.dtype == torch.bool:
                    mask = mask & given
                else:
                    logits = logits + given.float()
                    mask = mask & (given > -1e9)
            mask = mask.expand(logits.shape)
            p = logits.masked_fill(~mask, -math.inf).softmax(-1).nan_to_num(0.0)
            out.append(("logit_max", logits.masked_fill(~mask, 0.0).abs().max()))
            mean, least = numbers.entropy(p, mask)
        elif self._weights is not None and self._weights.shape[-1] > 1:
            if self._scores is not None:
                few = numbers.some_queries(self._scores)
                out.append(("logit_max", numbers.score(few)))
            mean, least = numbers.entropy(numbers.some_queries(self._weights).float())
        else:
            return out
        return [*out, ("entropy", mean), ("entropy_min", least)]


def _quietly(note: Callable[..., None], *args: Any) -> None:
    """Inside the user's call: nothing of ours may be heard there, or fail."""
    try:
        with unheard():
            note(*args)
    except BaseException as e:
        if theirs(e):
            raise


def let_go() -> None:
    """Close what an error has left open."""
    while _open:
        _open[-1].close()
