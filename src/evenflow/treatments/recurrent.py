"""Recurrent cures: gradients that live through time.

Orthogonal recurrent weights keep norms; a forget gate that starts open keeps the state; gated
layers do both by construction; truncation cuts a gradient that explodes. Step 0, except
truncation. Fails: orthogonal recurrence drifts as it trains; truncation forgets what lies further
back.

Sources: Saxe et al. 2013, arXiv:1312.6120; Le et al. 2015, arXiv:1504.00941; Gers et al. 2000;
Jozefowicz et al. 2015, ICML; Hochreiter & Schmidhuber 1997; Cho et al. 2014, arXiv:1406.1078;
Williams & Peng 1990, Neural Computation 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .base import Entry, Facts, nothing, number, optional, overwrites, positive, whole


def _none(facts: Facts) -> str | None:
    return None if facts.recurrent else "the network is not recurrent."


def _forget(parsed: Any, facts: Facts) -> str | None:
    if not any("lstm" in op for op in facts.recurrent):
        return "the network has no LSTM."
    return overwrites(facts)


def _gated(parsed: Any, facts: Facts) -> str | None:
    if not facts.recurrent & {"rnn_tanh", "rnn_relu"}:
        return "the network has no nn.RNN to exchange."
    return overwrites(facts)


def _truncate(text: str) -> int:
    if not text:
        raise ValueError("it needs a number of steps, such as truncate:20")
    return whole(text, least=1)


def _entry(method: str, about: str, edit: str) -> Entry:
    """Of a gated layer in the place of an RNN."""
    return Entry(
        kind="recurrent",
        method=method,
        about=about,
        examples=(method,),
        parse=nothing,
        refuse=_gated,
        edit=lambda parsed: edit,
        leaves=lambda parsed, facts: replace(facts, recurrent=frozenset((method,))),
        apply=f"recurrent:{method}",
    )


ENTRIES = (
    Entry(
        kind="recurrent",
        method="orthogonal",
        about="orthogonal recurrent weights",
        examples=("orthogonal", "orthogonal:0.95"),
        parse=optional(positive, 1.0),
        refuse=lambda gain, facts: _none(facts) or overwrites(facts),
        edit=lambda gain: "torch.nn.init.orthogonal_(rnn.weight_hh_l0)",
        apply="recurrent:orthogonal",
    ),
    Entry(
        kind="recurrent",
        method="forget-bias",
        about="LSTM forget gates that start open",
        examples=("forget-bias:1", "forget-bias:3"),
        parse=optional(number, 1.0),
        refuse=_forget,
        edit=lambda bias: (
            "rnn.bias_ih_l0.data[hidden : 2 * hidden] = 1; rnn.bias_hh_l0.data.zero_()"
        ),
        apply="recurrent:forget_bias",
    ),
    _entry(
        "lstm",
        "an LSTM in the place of nn.RNN",
        "replace torch.nn.RNN by torch.nn.LSTM (its state is a pair (h, c))",
    ),
    _entry("gru", "a GRU in the place of nn.RNN", "replace torch.nn.RNN by torch.nn.GRU"),
    Entry(
        kind="recurrent",
        method="truncate",
        about="no gradient further back than so many time steps",
        examples=("truncate:20", "truncate:50"),
        parse=_truncate,
        refuse=lambda steps, facts: _none(facts),
        edit=lambda steps: f"in the loop over time, every {steps} steps: h = h.detach()",
        apply="recurrent:truncate",
    ),
)
