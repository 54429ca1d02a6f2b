"""Attention that does not collapse: weights reparametrised by their spectral norm, or cut short."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .context import TreatmentContext

#: Power iterations at the start; each training forward adds one.
START = 200


class SigmaReparam(nn.Module):
    """Ŵ = (γ/σ(W)) W, γ trainable and = σ(W) at first (Zhai et al. 2023, arXiv:2303.06296, eq. 3).

    σ(W) = uᵀ W v with u, v by power iteration (one a training forward), W [O, I].
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, g: torch.Generator) -> None:
        super().__init__()
        w = weight.detach().float()
        self.register_buffer("u", _unit(torch.randn(w.shape[0], generator=g).to(w.device)))
        self.register_buffer("v", _unit(torch.randn(w.shape[1], generator=g).to(w.device)))
        for _ in range(START):
            self._iterate(w)
        # in the weight's own precision, as `forward` computes it: then γ/σ is exactly 1
        self.gamma = nn.Parameter(self._sigma(weight.detach()).clone())

    def forward(self, weight: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            self._iterate(weight.detach().float())
        return weight * (self.gamma / self._sigma(weight))

    def _sigma(self, weight: Tensor) -> Tensor:
        # copies: the next forward changes u and v before this one's backward may have run
        u, v = self.u.to(weight.dtype).clone(), self.v.to(weight.dtype).clone()
        sigma: Tensor = torch.dot(u, torch.mv(weight, v))
        return sigma

    @torch.no_grad()
    def _iterate(self, w: Tensor) -> None:
        self.v.copy_(_unit(torch.mv(w.t(), self.u)))
        self.u.copy_(_unit(torch.mv(w, self.v)))


def _unit(x: Tensor) -> Tensor:
    unit: Tensor = x / torch.linalg.vector_norm(x).clamp_min(1e-12)
    return unit


def apply(context: TreatmentContext, parsed: None) -> None:
    """Reparametrise the query, key and value weights of every attention; outputs stay the same."""
    found = attention_weights(context)
    if not found:
        raise ValueError("no attention with query and key layers of its own was found.")
    for module, name in found:
        original = getattr(module, name)
        made = SigmaReparam(original, context.generator)
        parametrize.register_parametrization(module, name, made)
        context.adopt(made, original)
    context.changed()


def max_norm(context: TreatmentContext, bound: float) -> None:
    """Rows of the query, key and value weights longer than the bound are cut to it."""
    longer = 0
    for module, name in attention_weights(context):
        weight = getattr(module, name)
        if not isinstance(weight, nn.Parameter):
            continue  # worked out from others: a parametrisation has its say
        norms = torch.linalg.vector_norm(weight.detach().float(), dim=1, keepdim=True)
        longer += int((norms > bound).sum())
        context.put(weight, weight.detach() * (bound / norms.clamp_min(bound)).to(weight.dtype))
    if not longer:
        raise ValueError(
            f"no row of a query or key weight in front of an attention is longer than {bound:g}."
        )


def attention_weights(context: TreatmentContext) -> list[tuple[nn.Module, str]]:
    """(module, name) of the weights in front of each attention's scores, each once."""
    out: dict[int, tuple[nn.Module, str]] = {}
    for m in context.model.modules():
        if isinstance(m, nn.MultiheadAttention):
            for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
                if getattr(m, name, None) is not None:
                    out[id(getattr(m, name))] = (m, name)
    for c in context.forward.calls:
        if c.kind != "attention" or isinstance(c.module, nn.MultiheadAttention):
            continue
        for layer in c.nearest(("affine",), ("norm", "view", "other"), back=True):
            module = context.module_of(layer)
            if isinstance(module, nn.Linear):
                out[id(layer.weight)] = (module, "weight")
    return list(out.values())
