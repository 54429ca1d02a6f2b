"""Queries and keys normalised before their scores: a graft on the module that attends.

Its forward runs under a TorchFunctionMode, as swaps do. In `scaled_dot_product_attention` the two
are normalised where they come in; the fused function of `nn.MultiheadAttention` projects and
attends at once, so there they are projected first, and it is given the identity as its weights.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...network import by_key
from .context import TreatmentContext
from .grafting import Forward, Graft
from .swap import _NESTED, unswapped


class QKNorm(Graft):
    """q̂ = γ_q q / rms(q) and k̂ = γ_k k / rms(k), each head [D] by itself, γ [D] = 1 at first.

    Then no score is larger than √D max|γ_q γ_k| however large the weights grow (Henry et al. 2020,
    arXiv:2010.04245, with a gain for each component as in Dehghani et al. 2023, arXiv:2302.05442,
    section 2.1).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query, self.key = nn.RMSNorm(size), nn.RMSNorm(size)

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        with _Attending(self):
            return inner(*args, **kwargs)


class _Attending(TorchFunctionMode):
    """Hands attention normalised queries and keys."""

    def __init__(self, norm: QKNorm) -> None:
        super().__init__()
        self.norm = norm

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _NESTED[0]:  # a module further inside has normalised them
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value"), args, strict=False))
            named.update((k, kwargs[k]) for k in ("query", "key", "value") if k in kwargs)
            more = {k: v for k, v in kwargs.items() if k not in named}
            q, k = self.norm.query(named["query"]), self.norm.key(named["key"])
            return unswapped(func, q, k, named["value"], *args[3:], **more)
        if func is F.multi_head_attention_forward:
            return unswapped(_fused, self.norm, *args, **kwargs)
        return func(*args, **kwargs)


def _fused(
    norm: QKNorm,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    width: int,
    heads: int,
    weight: Tensor | None,
    bias: Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """`F.multi_head_attention_forward`, its queries and keys projected and normalised before."""
    if kwargs.pop("use_separate_proj_weight", False):
        w_q, w_k, w_v = (kwargs[f"{n}_proj_weight"] for n in "qkv")
    else:
        assert weight is not None
        w_q, w_k, w_v = weight.chunk(3)
    b_q, b_k, b_v = (None, None, None) if bias is None else bias.chunk(3)
    q, k = F.linear(query, w_q, b_q), F.linear(key, w_k, b_k)
    q = norm.query(q.view(*q.shape[:-1], heads, -1)).flatten(-2)
    k = norm.key(k.view(*k.shape[:-1], heads, -1)).flatten(-2)
    same = torch.eye(width, device=q.device, dtype=q.dtype)
    rest = None if b_v is None else torch.cat([torch.zeros_like(b_v).repeat(2), b_v])
    weights = {"q_proj_weight": same, "k_proj_weight": same, "v_proj_weight": w_v}
    more = {k: v for k, v in kwargs.items() if k not in weights}
    attend: Any = F.multi_head_attention_forward  # `args` and `more` are what torch was called with
    return attend(
        q, k, value, width, heads, None, rest, *args,
        use_separate_proj_weight=True, **weights, **more,
    )  # fmt: skip


def apply(context: TreatmentContext, parsed: None) -> None:
    """Normalise queries and keys of every attention.

    Raises:
        ValueError: no call of torch's attention, or one outside any module, inside a checkpointed
            function, or of heads of two sizes in one module.
    """
    attending = [c for c in context.forward.calls if c.kind == "attention"]
    if not attending:
        raise ValueError(
            "no call of torch's attention was found; where scores are computed by hand, normalise "
            "queries and keys there."
        )
    for group in by_key(attending, lambda c: id(c.module)).values():
        module = group[0].module
        sizes = {c.shapes[0][-1] for c in group}
        if isinstance(module, nn.MultiheadAttention):
            sizes = {int(module.head_dim)}
        if module is None or len(sizes) > 1 or any(c.inside for c in group):
            raise ValueError(
                f"the attention at {group[0].path or 'the root'} is called outside any module, "
                "inside a checkpointed function, or with heads of different sizes: normalise its "
                "queries and keys in the script."
            )
        context.graft(module, QKNorm(sizes.pop()), next(module.parameters(), None))
    context.changed()
