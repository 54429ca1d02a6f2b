"""The faults: what is planted, and the part (and the codes) that a right finding names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transformer import NormOverTime, Transformer, Wiring

_B = r"blocks\.\d"
_ATTN, _MLP = rf"{_B}\.attn|{_B}$", rf"{_B}\.(up|down)|{_B}$"
_NORMS = rf"{_B}\.norm[12]"


@dataclass(frozen=True)
class Training:
    """How the loop goes; the defaults are sound."""

    rate: float = 1.0
    decay: float = 0.01
    gain_decay: float = 0.0
    clip: float = 0.0
    sgd: bool = False
    held: str = ""  # parameters whose names hold this are in no optimizer
    loss: str = ""
    labels: str = ""
    keeps_gradients: bool = False


@dataclass(frozen=True)
class Kind:
    """One fault. `unseen` says why no reading of one run can show it, where that is so."""

    name: str
    part: str  # regex over names of sites and parameters
    codes: str = ""  # codes that name the fault wherever they point
    wiring: Wiring = field(default_factory=Wiring)
    training: Training = field(default_factory=Training)
    plant: Callable[[Transformer], None] | None = None
    only: str = ""  # "encoder" or "decoder"
    unseen: str = ""


def _weights(
    name: str, change: Callable[[Tensor], object], frozen: bool = False
) -> Callable[[Transformer], None]:
    """Change the parameters of the blocks whose names hold `name`."""

    def plant(model: Transformer) -> None:
        for full, p in model.blocks.named_parameters():
            if name in full:
                change(p)
                p.requires_grad_(not frozen)

    return plant


def _table(
    change: Callable[[nn.Parameter], object], frozen: bool = False
) -> Callable[[Transformer], None]:
    def plant(model: Transformer) -> None:
        change(model.tokens.weight)
        model.tokens.weight.requires_grad_(not frozen)

    return plant


def _zero(p: Tensor) -> object:
    return p.zero_()


def _rows_held_at_zero(p: nn.Parameter) -> object:
    """Half of the rows are 0 and get no gradient."""
    p[::2].zero_()
    keep = torch.ones_like(p)
    keep[::2] = 0
    return p.register_hook(lambda g: g * keep)


def _head_rows(model: Transformer) -> None:
    _rows_held_at_zero(model.head.weight)


def _loud_head(model: Transformer) -> None:
    model.head.weight.mul_(300.0)


def _off_bias(model: Transformer) -> None:
    _weights("up.bias", lambda p: p.fill_(-8.0))(model)


def _constant(p: Tensor) -> object:
    return p.fill_(1.0)


_VALID = "a network wired so is lawful: only another wiring, trained beside it, shows what is lost"

KINDS: tuple[Kind, ...] = (
    # projections
    *(
        Kind(f"{n} starts at zero", _ATTN, "EF104 EF605", plant=_weights(f"attn.{n}.", _zero))
        for n in "qkvo"
    ),
    *(
        Kind(f"{n} frozen at zero", _ATTN, "EF104 EF704", plant=_weights(f"attn.{n}.", _zero, True))
        for n in "qkvo"
    ),
    *(
        Kind(
            f"{n} in no optimizer",
            _ATTN,
            "EF704",
            training=Training(held=f"attn.{n}."),
        )
        for n in "qkv"
    ),
    *(Kind(f"{n} detached", _ATTN, "EF807 EF704 EF104", Wiring(cut=n)) for n in "qkv"),
    Kind("heads tied", _ATTN, "EF605", Wiring(tied_heads=True), unseen=_VALID),
    Kind("heads not transposed back", _ATTN, "EF808 EF809", Wiring(heads_mixed=True)),
    # scores and masks
    Kind("logits not scaled", _ATTN, "EF204 EF208", Wiring(scale=1.0), unseen=_VALID),
    Kind("logits 30 times", _ATTN, "EF204 EF208", Wiring(scale=10.0)),
    Kind("logits a thousandth", _ATTN, "EF204", Wiring(scale=1e-3)),
    Kind("mask zeroed", _ATTN, "EF809", Wiring(mask="zeroed"), only="decoder"),
    Kind("mask inverted", _ATTN, "EF809", Wiring(mask="inverted")),
    Kind("mask leaks", _ATTN, "EF809", Wiring(mask="leaky"), only="decoder"),
    Kind("mask hides half", _ATTN, "", Wiring(mask="blind"), unseen=_VALID),
    Kind("mask shows itself only", _ATTN, "EF104 EF204", Wiring(mask="itself")),
    Kind("softmax over queries", _ATTN, "EF804 EF809", Wiring(softmax_dim=-2)),
    Kind("softmax over heads", _ATTN, "EF804 EF809", Wiring(softmax_dim=1)),
    Kind("softmax over the batch", _ATTN, "EF804 EF808", Wiring(softmax_dim=0)),
    Kind("dropout before softmax", _ATTN, "", Wiring(score_dropout=0.5), unseen=_VALID),
    # embeddings and places
    Kind("no places", r"places", "EF704 EF807", Wiring(places="none")),
    Kind("places shifted", r"places", "", Wiring(places="shifted"), unseen=_VALID),
    Kind("one place for all", r"places", "EF807 EF704", Wiring(places="one")),
    Kind("token rows held at zero", r"tokens", "", plant=_table(_rows_held_at_zero)),
    Kind("tokens frozen", r"tokens", "EF704", plant=_table(lambda p: None, True)),
    Kind("tokens 100 times", r"tokens", "EF602", plant=_table(lambda p: p.mul_(100.0))),
    Kind("tokens a thousandth", r"tokens|places", "EF601", plant=_table(lambda p: p.mul_(1e-3))),
    # normalisation
    Kind("gain starts at zero", _NORMS, "EF104", plant=_weights("norm", _zero)),
    Kind("gain frozen at zero", _NORMS, "EF104 EF704", plant=_weights("norm", _zero, True)),
    Kind("gain 30 times", _NORMS, "EF206 EF204", plant=_weights("norm", lambda p: p.mul_(30.0))),
    Kind("gain a hundredth", _NORMS, "EF101", plant=_weights("norm", lambda p: p.mul_(0.01))),
    Kind("eps at 1", _NORMS, "", Wiring(norm_eps=1.0), unseen=_VALID),
    Kind("norm over time", _NORMS, "EF804 EF809", Wiring(norm=NormOverTime)),
    Kind("no norm", _B, "", Wiring(norm=lambda d: nn.Identity()), unseen=_VALID),
    # residual paths
    Kind("no skip around attention", _B, "EF101 EF205", Wiring(skip_attn=0.0)),
    Kind("no skip around mlp", _B, "EF101 EF205", Wiring(skip_mlp=0.0)),
    Kind("skips a thousandth", _B, "EF101 EF205", Wiring(skip_attn=1e-3, skip_mlp=1e-3)),
    Kind("branches 30 times", _B, "EF206 EF102", Wiring(branch=30.0)),
    Kind("attention detached", _ATTN, "EF807 EF704", Wiring(cut="attn")),
    Kind("mlp detached", _MLP, "EF807 EF704", Wiring(cut="mlp")),
    Kind("block input detached", rf"{_B}|tokens|places", "EF807", Wiring(cut="block")),
    # feed-forward
    Kind("mlp starts at zeros", _MLP, "EF605 EF104", plant=_weights("up.", _zero)),
    Kind(
        "mlp all zeros",
        _MLP,
        "EF605 EF104",
        plant=lambda m: (_weights("up.", _zero)(m), _weights("down.", _zero)(m))[0],
    ),
    Kind("mlp starts at ones", _MLP, "EF605 EF206", plant=_weights("up.weight", _constant)),
    Kind("mlp out starts at ones", _MLP, "EF605 EF206", plant=_weights("down.weight", _constant)),
    Kind("no activation", _MLP, "EF702", Wiring(activation=lambda x: x)),
    Kind("activation is sigmoid", _MLP, "EF201", Wiring(activation=torch.sigmoid), unseen=_VALID),
    Kind(
        "activation is hard step", _MLP, "EF104 EF807", Wiring(activation=lambda x: (x > 0).float())
    ),
    Kind("relu switched off", _MLP, "EF202 EF603", Wiring(activation=F.relu), plant=_off_bias),
    Kind("mlp dropout .95", _MLP, "", Wiring(mlp_dropout=0.95), unseen=_VALID),
    # output
    Kind("output rows held at zero", r"head", "", plant=_head_rows),
    Kind("head 300 times", r"head", "EF602 EF703", plant=_loud_head),
    Kind("head frozen", r"head", "EF704", plant=lambda m: m.head.requires_grad_(False) and None),
    Kind("head dropout .9", r"head", "", Wiring(head_dropout=0.9), unseen=_VALID),
    Kind(
        "last place for the mean", r"head", "", Wiring(pool="last"), only="encoder", unseen=_VALID
    ),
    # the loop
    Kind("softmax before the loss", "", "EF701", training=Training(loss="softmax twice")),
    Kind("summed loss", "", "EF810", training=Training(loss="sum", sgd=True, rate=30.0)),
    Kind("labels shuffled", "", "EF407 EF401", training=Training(labels="shuffled")),
    Kind(
        "targets not shifted",
        "",
        "",
        training=Training(labels="unshifted"),
        only="decoder",
        unseen="a copy is a lawful task: what the target was meant to be is written nowhere",
    ),
    Kind("decay on gains", _NORMS, "EF812", training=Training(gain_decay=30.0)),
    Kind("decay on all", "", "EF812", training=Training(decay=30.0, gain_decay=30.0)),
    Kind(
        "clip at .1",
        "",
        "EF811",
        training=Training(clip=0.1),
        unseen="under Adam a factor common to all gradients changes next to nothing",
    ),
    Kind("clip at .001 under SGD", "", "EF811", training=Training(clip=1e-3, sgd=True, rate=30.0)),
    Kind("rate 100 times", "", "EF703 EF302", training=Training(rate=100.0)),
    Kind("rate a thousandth", "", "EF404 EF401 EF301", training=Training(rate=1e-3)),
    Kind(
        "gradients never cleared",
        "",
        "EF801",
        training=Training(keeps_gradients=True, sgd=True, rate=30.0),
    ),
)
