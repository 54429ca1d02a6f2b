"""Query-key normalisation against attention written out by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from evenflow.treatments import treat_
from tests.treatments.nets import Attention, words


def unit(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt()


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = unit(q) @ unit(k).mT / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask, -torch.inf)
    return scores.softmax(-1) @ v


def test_functional_attention_gets_normalised_queries_and_keys() -> None:
    model, x = Attention(), words()
    hand = model.head(attend(model.q(x), model.k(x), model.v(x)).mean(1))
    plain = model(x)
    undo = treat_(model, None, "attention=qk-norm", x)
    assert torch.allclose(model(x), hand, atol=1e-6)
    with torch.no_grad():
        model.q.weight *= 1000
    far = model.head(attend(model.q(x), model.k(x), model.v(x)).mean(1))
    assert torch.allclose(model(x), far, atol=1e-5)
    with torch.no_grad():
        model.q.weight /= 1000
    undo.undo()
    assert torch.allclose(model(x), plain, atol=1e-5)


@pytest.mark.parametrize("wide", [8, 6])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("weights", [True, False])
def test_the_fused_attention_of_torch(wide: int, batch_first: bool, weights: bool) -> None:
    torch.manual_seed(0)
    mha = nn.MultiheadAttention(8, 2, kdim=wide, vdim=wide, batch_first=batch_first)
    nn.init.normal_(mha.in_proj_bias)
    x, y = torch.randn(3, 5, 8), torch.randn(3, 5, wide)
    model = Cross(mha, batch_first, weights)
    w_q, w_k, w_v = (
        mha.in_proj_weight.chunk(3)
        if wide == 8
        else (mha.q_proj_weight, mha.k_proj_weight, mha.v_proj_weight)
    )
    q, k, v = (
        (z @ w.T + b).unflatten(-1, (2, 4)).transpose(1, 2)
        for z, w, b in zip((x, y, y), (w_q, w_k, w_v), mha.in_proj_bias.chunk(3), strict=True)
    )
    hand = mha.out_proj(attend(q, k, v, Cross.MASK).transpose(1, 2).flatten(-2))
    opt = torch.optim.Adam(model.parameters(), 1e-2)
    treat_(model, opt, "attention=qk-norm", ((x, y), {}))
    assert torch.allclose(model(x, y), hand, atol=1e-6)
    assert torch.allclose(copy.deepcopy(model).eval()(x, y), hand, atol=1e-6)
    gains = [p for n, p in model.named_parameters() if "evenflow" in n]
    assert [tuple(p.shape) for p in gains] == [(4,), (4,)]
    held = {id(p) for g in opt.param_groups for p in g["params"]}
    assert all(id(p) in held for p in gains)
    model(x, y).sum().backward()
    opt.step()
    assert all(not torch.equal(p, torch.ones(4)) for p in gains)


class Cross(nn.Module):
    MASK = torch.ones(5, 5, dtype=torch.bool).triu(1)

    def __init__(self, mha: nn.MultiheadAttention, batch_first: bool, weights: bool) -> None:
        super().__init__()
        self.mha, self.batch_first, self.weights = mha, batch_first, weights

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.batch_first:
            x, y = x.transpose(0, 1), y.transpose(0, 1)
        out, _ = self.mha(x, y, y, attn_mask=self.MASK, need_weights=self.weights)
        return out if self.batch_first else out.transpose(0, 1)


def test_encoder_layers_leave_their_fast_path() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x = words()
    treat_(model, None, "attention=qk-norm", x)
    trained = model(x)
    model.eval()
    with torch.no_grad():
        assert torch.allclose(model(x), trained, atol=1e-6)


def test_it_is_refused_where_it_would_harm() -> None:
    model, x = Attention(), words()
    opt = torch.optim.Adam(model.parameters(), 1e-2)
    model(x).sum().backward()
    opt.step()
    with pytest.raises(ValueError, match="changes what the trained attention computes"):
        treat_(model, opt, "attention=qk-norm", x)


class Nested(nn.Module):
    """Attends itself, and holds a module that does, too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.q = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.inner(x, x, x, need_weights=False)
        return nn.functional.scaled_dot_product_attention(self.q(h), h, h)


def test_a_module_inside_one_that_attends_is_normalised_once() -> None:
    model, x = Nested(), words()
    lone = copy.deepcopy(model.inner)
    treat_(model, None, "attention=qk-norm", x)
    treat_(lone_one := Wrapped(lone), None, "attention=qk-norm", x)
    h = lone_one(x)
    assert torch.allclose(model(x), attend(model.q(h), h, h), atol=1e-6)


class Wrapped(nn.Module):
    def __init__(self, inner: nn.MultiheadAttention) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=False)[0]
