"""Which outputs get a cotangent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenflow.forecast.ends import ends
from evenflow.forecast.onepass import measure


def test_what_the_first_output_was_made_from_is_left_out() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    hidden = x.tanh()
    logits = hidden * 2
    beside = hidden.sum(1)
    assert [id(t) for t in ends([logits, hidden, beside])] == [id(logits), id(beside)]
    loss = logits.square().mean()
    assert [id(t) for t in ends([loss, logits, hidden])] == [id(loss)]


def test_halves_of_one_call_are_told_apart() -> None:
    x = torch.randn(4, 6, requires_grad=True)
    mean, width = (2 * x).chunk(2, 1)
    assert len(ends([mean, width])) == 2
    assert [id(t) for t in ends([mean.exp(), mean, width])][1:] == [id(width)]


def test_one_output_or_none_is_as_it_was() -> None:
    x = torch.randn(3, requires_grad=True)
    assert ends([]) == []
    assert ends([x])[0] is x
    assert len(ends([x, x.exp()])) == 2


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        state = self.encoder(x)
        return {"logits": 1e-3 * self.head(state), "state": state}


def test_a_forecast_sends_no_error_into_the_middle() -> None:
    found = measure(_Encoder(), (torch.randn(16, 8),), {})
    levels = dict(zip((s.name for s in found.sites), found.log10_delta, strict=True))
    assert levels["_Encoder.encoder linear"] < levels["_Encoder.head linear"] + 0.5
