"""What another processor may say otherwise, and is not frozen: it lies near a threshold, or its
training is chaotic. Found by `outputs.py --elsewhere`, which takes this machine's simpler
instructions; each line with its reason."""

from __future__ import annotations

import re

_MEASURED = r"/findings/\d+/(evidence/.*|first_step|last_step|chain/\d+/2|message)"
_FINDINGS = r"/(findings.*|said|sites.*)"
_VERDICT = r"/(findings.*|said|sites.*|exit|verdict)"

#: (kind/case, path of the difference, why), both regexes that match the whole.
UNFROZEN: tuple[tuple[str, str, str], ...] = (
    (
        "check/(encoder-rate|rnn-explodes|cnn-large-start|residual-no-norm|gated-text-rate|"
        "perceptron-sgd-rate)",
        _MEASURED,
        "diverges: how far and since when is chaos, the codes and sites are not",
    ),
    (
        "check/(encoder|decoder)-scores-grow",
        _MEASURED,
        "scores grow by a factor every few steps: how far they come is chaos",
    ),
    (
        "check/(perceptron-full-batch|tabular-regression-raw-tanh)",
        _MEASURED,
        "swings about the edge of stability: its last loss is a matter of phase",
    ),
    (
        "check/(perceptron-paralysed|cnn-paralysed|encoder-sharp|decoder-sharp)",
        _MEASURED,
        "saturated: the slopes and entropies left are differences of numbers next to one",
    ),
    (
        "check/(residual-rate|residual-rate-jump|decoder-rate|rnn-text-rate|cnn-dies)",
        _FINDINGS,
        "diverges, and which layers die or collapse on the way is chaos",
    ),
    (
        "check/(tabular-regression-batchnorm-of-two|perceptron-groups-of-one)",
        _FINDINGS,
        "a norm over one or two values: signs, so rounding decides which units die",
    ),
    (
        "check/encoder-no-norm",
        _FINDINGS,
        "gains 13 decades on the way at birth: elsewhere the same step ends in NaN (EF103)",
    ),
    (
        "check/(cnn-bytes|autoencoder-half|cnn-undivided)",
        _FINDINGS,
        "ends where guessing stands, which is EF401's threshold",
    ),
    ("check/cnn-bfloat16-weights", _MEASURED, "which updates bfloat16 takes is rounding"),
    ("check/decoder-half", _FINDINGS, "half precision: how many layers fall below is rounding"),
    (
        "check/tabular-classification-bounces",
        _VERDICT,
        "bounces: ends above or below guessing (EF402), which makes all it has errors",
    ),
    (
        "check/perceptron-large-tanh",
        r"/findings/0/(sites/[12]|message)",
        "two layers are saturated alike: which is the worse is rounding",
    ),
    (
        "preflight/perceptron-born-chaotic",
        r"/(chance|findings/\d+/(sites|message|evidence/chance)|sites/\d+/.*)",
        "seventy chaotic layers: a layer more or less is past the threshold",
    ),
    ("preflight/cnn-born-dead", r"/advice/\d+/(change|text)", "two treatments foresee the same"),
    (
        "preflight/Recurrent",
        r"/sites/4/one_minus_c",
        "the correlation of what is constant: 0 / 0, or a rounding error over another",
    ),
)


def excused(case: str, difference: str) -> bool:
    """May this be so, elsewhere?"""
    path = difference.split(": ")[0]
    return any(re.fullmatch(c, case) and re.fullmatch(p, path) for c, p, _ in UNFROZEN)
