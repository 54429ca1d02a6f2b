"""Rows of the weights in front of attention cut to a length, against torch's own `renorm`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evenflow.treatments import treat_

from .nets import make, transformer, words


@pytest.mark.parametrize(("text", "bound"), [("", 1.0), (":0.5", 0.5)])
def test_long_rows_are_cut_and_keep_their_direction(text: str, bound: float) -> None:
    model, x = make("sharp-attention")
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    treat_(model, None, f"attention=max-norm{text}", x)
    for name, p in model.named_parameters():
        wanted = before[name]
        if name in ("q.weight", "k.weight", "v.weight"):
            wanted = torch.renorm(wanted, 2, 0, bound)
        assert torch.allclose(p, wanted, rtol=1e-4, atol=1e-6), name
    rows = model.q.weight.detach().norm(dim=1)  # type: ignore[union-attr,operator]
    assert float(rows.max()) <= bound * (1 + 1e-6)


def test_queries_of_torchs_own_attention_are_cut_and_its_values_left() -> None:
    model, x = transformer(), words()
    attentions = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    with torch.no_grad():
        for m in attentions:
            assert m.in_proj_weight is not None
            m.in_proj_weight[:16].mul_(20.0)
    values = [m.in_proj_weight[16:].detach().clone() for m in attentions]
    undo = treat_(model, None, "attention=max-norm:2", x)
    for m, v in zip(attentions, values, strict=True):
        assert m.in_proj_weight is not None
        assert torch.allclose(m.in_proj_weight[:16].norm(dim=1), torch.tensor(2.0))
        assert torch.equal(m.in_proj_weight[16:], v)
    undo.undo()
    assert float(attentions[0].in_proj_weight[:16].detach().norm(dim=1).min()) > 5


def test_attention_looks_at_more_than_one_key_again() -> None:
    model, x = make("sharp-attention")

    def largest() -> float:
        q, k = model.q(x), model.k(x)  # type: ignore[operator]
        return float((q @ k.mT / 8**0.5).softmax(-1).amax(-1).detach().mean())

    assert largest() > 0.9
    treat_(model, None, "attention=max-norm", x)
    assert largest() < 0.6


def test_it_is_refused_where_no_row_is_longer_and_for_other_numbers() -> None:
    model, x = make("attention")
    with pytest.raises(ValueError, match="is longer than 1"):
        treat_(model, None, "attention=max-norm", x)
    with pytest.raises(ValueError, match="above 0"):
        treat_(model, None, "attention=max-norm:0", x)
