"""Networks that are sick before their first step, with healthy twins: for EF6xx, which judge a
forecast and not a run. Real data, as everywhere in the zoo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from .case import FAMILY, codes
from .cnn import ConvNet, convs
from .cnn import start_ as conv_start_
from .data import digits
from .loop import accuracy, fit, seed_all
from .perceptron import MLP, init_
from .residual import ResMLP


@dataclass(frozen=True, slots=True)
class Start:
    """A network as it is built, sick or healthy, on digits.

    Attributes:
        name: unique; the key in `STARTS`. family: a key of `FAMILY`; decides the half.
        about: the fault as an engineer would tell it.
        build: seed -> the network before its first step; seeds everything itself.
        bound: trained by `score`, a healthy one reaches at least this, a sick one stays below.
        expect, allow, sites, twin: as of a `Case`.
    """

    name: str
    family: str
    about: str
    build: Callable[[int], nn.Module]
    bound: float
    expect: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    sites: Mapping[str, str] = field(default_factory=dict)
    twin: str = ""

    @property
    def half(self) -> str:
        """ "calibration" or "report"."""
        return FAMILY[self.family]

    @property
    def healthy(self) -> bool:
        """True if nothing may be said against it."""
        return not self.expect

    def batch(self) -> Tensor:
        """[64, 64] the first training samples, for a forecast."""
        return digits().x[:64]

    def score(self, seed: int, steps: int = 150) -> float:
        """Held-out accuracy after a training with Adam at the better of two rates."""
        reached = []
        for rate in (3e-3, 3e-4):
            model = self.build(seed)
            seed_all(seed)
            fit(model, torch.optim.Adam(model.parameters(), rate), digits(), steps=steps)
            reached.append(accuracy(model, digits().x_test, digits().y_test))
        return max(reached)


# -- networks ---------------------------------------------------------------------------------


def perceptron(
    seed: int,
    *,
    depth: int,
    act: Callable[[], nn.Module],
    start: str,
    norm: Callable[[int], nn.Module] | None = None,
    bias: float | None = None,
    constant: float | None = None,
) -> nn.Module:
    """A perceptron; `bias` of the second layer, `constant` for the weights of all hidden ones."""
    seed_all(seed)
    model = MLP(depth, 64, act, norm)
    if start:
        init_(model, start)
    hidden = [m for m in model.body if isinstance(m, nn.Linear)]
    if bias is not None:
        nn.init.constant_(hidden[1].bias, bias)
    if constant is not None:
        for m in hidden:
            nn.init.constant_(m.weight, constant)
    return model


def convolutional(
    seed: int,
    *,
    depth: int,
    act: Callable[[], nn.Module],
    start: str,
    value: float = 0.0,
    norm: bool = False,
    bias: float | None = None,
    constant: float | None = None,
) -> nn.Module:
    """Plain convolutions; `bias` of the second one, `constant` for the weights of all."""
    seed_all(seed)
    model = ConvNet(depth, 8, act, norm)
    if start:
        conv_start_(model, start, value)
    if bias is not None:
        nn.init.constant_(convs(model)[1].bias, bias)  # type: ignore[arg-type]
    if constant is not None:
        for m in convs(model):
            nn.init.constant_(m.weight, constant)
    return model


def residual(seed: int, *, depth: int, norm: bool, gain: float) -> nn.Module:
    """A residual perceptron whose branches start with `gain`."""
    seed_all(seed)
    return ResMLP(depth, norm, gain)


# -- the list ---------------------------------------------------------------------------------


def _pair(
    family: str,
    name: str,
    about: str,
    build: Callable[..., nn.Module],
    fault: dict[str, object],
    sound: dict[str, object],
    *,
    expect: str,
    allow: str = "",
    where: str,
    bounds: tuple[float, float] = (0.6, 0.8),
    **both: object,
) -> tuple[Start, Start]:
    """A sick start and its twin, which differ by `fault` against `sound` alone."""
    expected = codes(expect)
    sick = Start(
        f"{family}-{name}",
        family,
        about,
        partial(build, **both, **fault),
        bounds[0],
        expected,
        codes(allow) - expected,
        dict.fromkeys(sorted(expected), where),
        f"{family}-{name}-sound",
    )
    well = Start(
        sick.twin, family, f"{name}: without the fault", partial(build, **both, **sound), bounds[1]
    )
    return sick, well


_ALL: tuple[Start, ...] = (
    # EF601
    *_pair(
        "perceptron", "born-faint", "12 tanh layers drawn with a deviation of 0.02", perceptron,
        {"start": "normal:0.02"}, {"start": "orthogonal:1"},
        depth=12, act=nn.Tanh, expect="601", allow="604 101 205", where=r"body\.0\b",
    ),
    *_pair(
        "cnn", "born-faint", "16 ReLU convolutions drawn with normal_(0, 0.01)", convolutional,
        {"start": "normal", "value": 0.01}, {"start": "he"},
        depth=16, act=nn.ReLU, expect="601", allow="604 101 205", where=r"features\.0\b",
    ),
    # EF602
    *_pair(
        "perceptron", "born-loud", "20 ReLU layers drawn with a deviation of 1", perceptron,
        {"start": "normal:1"}, {"start": "he"},
        depth=20, act=nn.ReLU, expect="602", allow="604 102 206", where=r"^body|head",
    ),
    *_pair(
        "cnn", "born-saturated", "6 tanh convolutions drawn with a deviation of 2", convolutional,
        {"start": "normal", "value": 2.0}, {"start": "orthogonal", "value": 1.0},
        depth=6, act=nn.Tanh, expect="602", allow="201 604 102", where=r"features\.",
        bounds=(0.8, 0.9),
    ),
    # EF603
    *_pair(
        "perceptron", "born-dead", "a bias of -20 in the second ReLU layer", perceptron,
        {"bias": -20.0}, {"bias": 0.0},
        depth=4, act=nn.ReLU, start="he", expect="603", allow="101 104 202 205 604",
        where=r"body\.3\b",
    ),
    *_pair(
        "cnn", "born-dead", "a bias of -20 in the second convolution", convolutional,
        {"bias": -20.0}, {"bias": 0.0},
        depth=4, act=nn.ReLU, start="he", expect="603", allow="101 104 202 205 604",
        where=r"features\.",
    ),
    # EF604
    *_pair(
        "perceptron", "born-deep", "50 sigmoid layers with PyTorch's default weights", perceptron,
        {"depth": 50}, {"depth": 2},
        act=nn.Sigmoid, start="", expect="604", allow="101 205 601", where=r"body\.",
    ),
    *_pair(
        "perceptron", "born-chaotic", "70 ReLU layers, each with BatchNorm", perceptron,
        {"depth": 70}, {"depth": 8},
        act=nn.ReLU, start="he", norm=nn.BatchNorm1d, expect="604", allow="102", where=r"body\.",
    ),
    *_pair(
        "cnn", "born-deep", "32 sigmoid convolutions", convolutional,
        {"depth": 32, "act": nn.Sigmoid}, {"depth": 32, "act": nn.ReLU},
        start="he", expect="604", allow="101 205 601", where=r"features\.", bounds=(0.3, 0.5),
    ),
    # EF605
    *_pair(
        "perceptron", "born-alike", "every hidden weight is 0.1", perceptron,
        {"constant": 0.1}, {"constant": None},
        depth=3, act=nn.Tanh, start="xavier", expect="605", allow="205 602 201", where=r"body\.0\b",
    ),
    *_pair(
        "cnn", "born-alike", "every weight of the convolutions is 0.05", convolutional,
        {"constant": 0.05}, {"constant": None},
        depth=3, act=nn.ReLU, start="he", expect="605", allow="205 601", where=r"features\.",
        bounds=(0.88, 0.9),
    ),
    # healthy, of kinds in which a forecast might cry wolf
    Start("residual-born-asleep", "residual", "24 blocks whose branches start at zero",
          partial(residual, depth=24, norm=False, gain=0.0), 0.8),
)  # fmt: skip

#: All starts by name.
STARTS: dict[str, Start] = {start.name: start for start in _ALL}
