"""Advice that fits a network: nothing that it has already, nothing for what it lacks."""

from __future__ import annotations

from typing import NamedTuple

from ..lang import N_, _, sentences
from ..schema import Finding
from .remedies import ADVICE, BY_CAUSE, SKIPS, STANDARDISE, Text


class Network(NamedTuple):
    """What advice may know of a network.

    Attributes:
        depth: number of layers; 0 = not known.
        has: what it has: of "skips", "norm" and single norms ("batch_norm"), activations by name,
            "recurrent", "gated" (LSTM, GRU), "forget-bias", "adaptive", "momentum", "decay" (of
            weights), "he", "xavier" (its start; orthogonal weights look like it), "scaled" inputs,
            "half" precision. None = not known, so that all advice is told.
    """

    depth: int = 0
    has: frozenset[str] | None = None


#: What is told from so many layers on: below, depth is not what ails the network.
_DEEP_FROM = 5
_DEEP: frozenset[Text] = frozenset(
    {SKIPS, *ADVICE["EF101"][1:3], ADVICE["EF205"][0], ADVICE["EF205"][3], *ADVICE["EF604"]}
)
_NARROW = N_(
    "Use more hidden units, and try other random weights: a network of few units may start where "
    "nothing moves it."
)
#: What is told instead, where the network has fewer.
_SHALLOW: dict[str, tuple[Text, ...]] = {"EF205": (_NARROW,), "EF401": (_NARROW,)}

_BRANCHES = N_(
    "Let each residual branch start at zero (a gain alpha = 0 on it, or zero in its last norm's "
    "weight), or scale it by 1 / sqrt(number of blocks)."
)
_KEEP = N_(
    "Through time: start the bias of the gate that keeps the state at 1 or above (an LSTM's forget "
    "gate, a GRU's update gate), with orthogonal recurrent weights."
)
_SHORTER = N_(
    "Through time: orthogonal recurrent weights, LayerNorm in the cell, or shorter sequences "
    "(back-propagation truncated after some steps)."
)
_BIAS = N_("Start biases at zero or slightly above.")
_SMOOTH = N_("Use an activation that does not saturate on both sides (ReLU, GELU, SiLU).")
_TAILORED = N_(
    "Use activations tailored to the depth (LeakyReLU of slope 0.43 with orthogonal weights for 50 "
    "layers: 95.3 %)."
)
_LARGER = N_("Use a larger batch if batches disagree.")
_ADAM = N_("Use Adam.")
_LSUV = N_("For sigmoid and tanh: centred LSUV, which pulls the samples apart again.")

Case = tuple[frozenset[str], Text | None]


def _case(when: str, instead: Text | None = None) -> Case:
    return frozenset(when.split()), instead


#: Text -> cases, of which the first that holds says what is told instead (None: nothing). A case
#: is what the network has, or with a "-" before it lacks, all of it.
_FITS: dict[Text, tuple[Case, ...]] = {
    SKIPS: (_case("skips", _BRANCHES),),
    STANDARDISE: (_case("scaled"),),
    ADVICE["EF101"][1]: (_case("-sigmoid -tanh"),),
    ADVICE["EF101"][2]: (_case("batch_norm"), _case("-sigmoid -tanh")),
    ADVICE["EF101"][3]: (_case("he"), _case("-relu -relu6"), _case("batch_norm")),
    ADVICE["EF101"][4]: (
        _case("-recurrent"),
        _case("gated forget-bias", _SHORTER),
        _case("gated", _KEEP),
    ),
    ADVICE["EF102"][1]: (_case("he"), _case("xavier")),
    ADVICE["EF102"][3]: (_case("skips", _BRANCHES),),
    ADVICE["EF102"][4]: (_case("-recurrent"), _case("gated", _SHORTER)),
    ADVICE["EF102"][5]: (_case("-batch_norm"), _case("skips")),
    ADVICE["EF103"][2]: (_case("-half"),),
    ADVICE["EF201"][3]: (_case("relu -sigmoid -tanh"), _case("batch_norm", _SMOOTH)),
    ADVICE["EF202"][1]: (_case("he", _BIAS),),
    ADVICE["EF202"][2]: (_case("-relu -relu6"),),
    ADVICE["EF203"][2]: (_case("relu -sigmoid -tanh decay"), _case("decay", _SMOOTH)),
    ADVICE["EF205"][0]: (_case("skips", _TAILORED),),
    ADVICE["EF205"][1]: (_case("-sigmoid -tanh"), _case("batch_norm", _LSUV)),
    ADVICE["EF205"][3]: (_case("-relu -relu6 -leaky_relu"),),
    ADVICE["EF206"][0]: (_case("norm skips", _BRANCHES), _case("norm")),
    ADVICE["EF206"][2]: (_case("decay"),),
    ADVICE["EF301"][2]: (_case("adaptive"),),
    ADVICE["EF403"][1]: (_case("-momentum", _LARGER),),
    ADVICE["EF404"][1]: (_case("adaptive"), _case("momentum", _ADAM)),
    ADVICE["EF404"][2]: (_case("scaled"),),
    ADVICE["EF601"][0]: (_case("he"), _case("xavier")),
    ADVICE["EF602"][1]: (_case("scaled"),),
    ADVICE["EF603"][0]: (_case("he", _BIAS),),
    ADVICE["EF703"][3]: (_case("scaled"),),
    BY_CAUSE["through-time"]: (
        _case("-recurrent"),
        _case("gated forget-bias", _SHORTER),
        _case("gated", _KEEP),
    ),
    BY_CAUSE["weights-too-large"]: (_case("he"), _case("xavier")),
}


def advice(finding: Finding, network: Network | None = None) -> list[str]:
    """What to do, best first; what mends the cause stands before what eases the symptom.

    What helps deep networks is not told of shallow ones, and nothing is recommended that the
    network has already (`_FITS`). An unknown code (a newer run file) gives the advice of its
    cause, or none.
    """
    network = network or Network()
    first = [BY_CAUSE[finding.cause]] if finding.cause in BY_CAUSE else []
    texts = [*first, *(text for text in ADVICE.get(finding.code, ()) if text not in first)]
    if 0 < network.depth < _DEEP_FROM:
        texts = [*_SHALLOW.get(finding.code, ()), *(t for t in texts if t not in _DEEP)]
    fitting = dict.fromkeys(_fitting(t, network.has) for t in texts)
    return [_(t) if isinstance(t, str) else sentences(map(_, t)) for t in fitting if t is not None]


def _fitting(text: Text, has: frozenset[str] | None) -> Text | None:
    if has is None:
        return text
    for when, instead in _FITS.get(text, ()):
        if all((w[1:] not in has) if w[0] == "-" else (w in has) for w in when):
            return instead
    return text
