"""Recurrent cures: gradients that live through time.

Orthogonal recurrent weights keep norms; a forget gate that starts open keeps the state; gated
layers do both by construction; truncation cuts a gradient that explodes. Step 0, except
truncation. Fails: orthogonal recurrence drifts as it trains; truncation forgets what lies further
back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .base import Entry, Facts, nothing, number, optional, overwrites, positive, whole


def _none(facts: Facts) -> str | None:
    return None if facts.recurrent else "the network is not recurrent."


def _orthogonal(parsed: Any, facts: Facts) -> str | None:
    return _none(facts) or overwrites(facts)


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


def _after(method: str, facts: Facts) -> Facts:
    return replace(facts, recurrent=frozenset((method,))) if method in ("lstm", "gru") else facts


def _entry(
    method: str,
    about: str,
    source: str,
    values: dict[str, str],
    parse: object,
    refuse: object,
    apply: str,
    edit: object,
    when: str = "start",
) -> Entry:
    return Entry(
        kind="recurrent",
        method=method,
        about=about,
        when=when,
        preserves=method == "truncate",
        cost="once" if method in ("orthogonal", "forget-bias") else "three to four times an RNN's",
        fails="orthogonal weights drift; truncation forgets what lies further back",
        source=source,
        values=values,
        edit=edit,  # type: ignore[arg-type]
        parse=parse,  # type: ignore[arg-type]
        refuse=refuse,  # type: ignore[arg-type]
        leaves=lambda v, facts: _after(method, facts),
        apply=apply,
    )


ENTRIES = (
    _entry(
        "orthogonal",
        "orthogonal recurrent weights",
        "Saxe et al. 2013, arXiv:1312.6120; Le et al. 2015, arXiv:1504.00941",
        {"orthogonal": "norm kept from step to step", "orthogonal:0.95": "slowly forgetting"},
        optional(positive, 1.0),
        _orthogonal,
        "recurrent:orthogonal",
        lambda v: "torch.nn.init.orthogonal_(rnn.weight_hh_l0)",
    ),
    _entry(
        "forget-bias",
        "LSTM forget gates that start open",
        "Gers et al. 2000; Jozefowicz et al. 2015, ICML",
        {"forget-bias:1": "bias 1", "forget-bias:3": "for long sequences"},
        optional(number, 1.0),
        _forget,
        "recurrent:forget_bias",
        lambda v: "rnn.bias_ih_l0.data[hidden : 2 * hidden] = 1; rnn.bias_hh_l0.data.zero_()",
    ),
    _entry(
        "lstm",
        "an LSTM in the place of nn.RNN",
        "Hochreiter & Schmidhuber 1997",
        {"lstm": "same shapes in and out"},
        nothing,
        _gated,
        "recurrent:lstm",
        lambda v: "replace torch.nn.RNN by torch.nn.LSTM (its state is a pair (h, c))",
    ),
    _entry(
        "gru",
        "a GRU in the place of nn.RNN",
        "Cho et al. 2014, arXiv:1406.1078",
        {"gru": "same shapes in and out"},
        nothing,
        _gated,
        "recurrent:gru",
        lambda v: "replace torch.nn.RNN by torch.nn.GRU",
    ),
    _entry(
        "truncate",
        "no gradient further back than so many time steps",
        "Williams & Peng 1990, Neural Computation 2",
        {"truncate:20": "20 steps", "truncate:50": "50 steps"},
        _truncate,
        lambda parsed, facts: _none(facts),
        "recurrent:truncate",
        lambda v: f"in the loop over time, every {v} steps: h = h.detach()",
        "any",
    ),
)
