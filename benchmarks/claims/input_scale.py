"""Input standardisation against saturation: it puts z of the first layer where its weights expect
it, and says nothing of the weights, of deeper layers, or of what training makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from zoo.data import breast_cancer, wine

from .base import Claim, Row, Rows, percent
from .nets import Plan, see, table, train

DATA = {"tumours": breast_cancer, "wine": wine}
#: Adam's rates: a sound one, and one a hundred times as high.
RATE, HIGH = 1e-3, 1e-1


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    rows = Rows()
    width, epochs = (32, 5) if quick else (64, 60)
    for name, load in DATA.items():
        if quick and name == "wine":
            continue
        for word, scaled, gain, rate in (
            ("raw", False, 1.0, RATE),
            ("standardised", True, 1.0, RATE),
            ("standardised, weights × 8", True, 8.0, RATE),
            ("standardised, rate × 100", True, 1.0, HIGH),
        ):
            data = load(scaled)
            plan = Plan(3, width, nn.Tanh, "xavier", gain=gain)
            nets = [plan.build(seed, data.x.shape[1], int(data.y.max()) + 1) for seed in seeds]
            figures = table([see(net, data.x) for net in nets], "first_saturated", "saturated")
            figures["accuracy"] = [
                train(net, data, epochs, seed, rate) for net, seed in zip(nets, seeds, strict=True)
            ]
            figures["saturated, trained"] = [see(net, data.x).saturated for net in nets]
            rows.append(Row(f"{name} {word}", figures))
    return rows


FIRST = "saturated, first layer"


def tell(rows: Rows) -> str:
    def of(setting: str, figure: str) -> str:
        return percent(rows(setting, figure))

    return (
        f"Only if the weights suit it and training keeps them so. At the start it takes the share "
        f"of the first layer that is saturated from {of('tumours raw', FIRST)} to "
        f"{of('tumours standardised', FIRST)} (tumours) and from {of('wine raw', FIRST)} to "
        f"{of('wine standardised', FIRST)} (wine); accuracy {of('tumours raw', 'accuracy')} → "
        f"{of('tumours standardised', 'accuracy')} and {of('wine raw', 'accuracy')} → "
        f"{of('wine standardised', 'accuracy')}. With weights eight times too large "
        f"{of('tumours standardised, weights × 8', 'saturated')} of all units are saturated all "
        f"the same, and a rate a hundred times too high leaves "
        f"{of('tumours standardised, rate × 100', 'saturated, trained')} of them so "
        f"({of('tumours standardised', 'saturated, trained')} at the sound one)."
    )


def holds(rows: Rows) -> bool:
    return (
        rows("tumours raw", FIRST) > 0.5
        and rows("tumours standardised", FIRST) < 0.05
        and rows("tumours raw", "accuracy") < rows("tumours standardised", "accuracy")
        and rows("tumours standardised, weights × 8", "saturated") > 0.3
        and rows("tumours standardised, rate × 100", "saturated, trained")
        > rows("tumours standardised", "saturated, trained")
    )


CLAIM = Claim(
    "standardised-inputs",
    "Standardising the inputs prevents saturation.",
    "true only if",
    "plain tanh, Xavier, depth 3, width 64, two tables of features between 1e-3 and 4e3 in size, "
    "60 epochs, Adam 1e-3 and 1e-1",
    measure,
    tell,
    holds,
    source="LeCun et al. 1998, Efficient BackProp, section 4.3",
)
