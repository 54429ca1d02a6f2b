"""How wide a forecast's error bar has to be: the constant C of `evenflow.forecast.width`.

The standard deviation of log10 δ over draws is sqrt(C Σ 1/n) / (2 ln 10), Σ over the layers between
the site and the output. "known": the same weights, other data and another error at the output.
"drawn": other weights as well. C of a network is the observed variance over the one that C = 1
foresees; the constants in use should be above the largest, and 95 % of all sites within two bars.

    python benchmarks/trainability/error_bar.py        (1 minute on one thread)
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
from collections.abc import Callable

import torch
from torch import nn

from evenflow.forecast.inputs import arrange
from evenflow.forecast.onepass import measure
from evenflow.forecast.width import DRAWN_WEIGHTS, KNOWN_WEIGHTS, error_bars

DEPTHS, WIDTHS = (4, 12, 32), (32, 128)
#: Near criticality each, or nothing is left to fluctuate.
KINDS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "relu": (nn.ReLU, 2.0),
    "tanh": (nn.Tanh, 1.2),
    "gelu": (nn.GELU, 2.2),
    "selu": (nn.SELU, 1.0),
}


def perceptron(kind: str, depth: int, width: int, seed: int) -> nn.Module:
    activation, variance = KINDS[kind]
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=math.sqrt(variance / m.in_features))
            nn.init.zeros_(m.bias)
    return model


def spread(kind: str, depth: int, width: int, drawn: bool, draws: int) -> list[tuple[float, float]]:
    """(deviation of log10 δ from the mean over draws, the bar of C = 1) of draws and sites."""
    profiles, bars = [], []
    for k in range(draws):
        model = perceptron(kind, depth, width, k if drawn else 0)
        args, kwargs = arrange((64, width), torch.float32, torch.device("cpu"), 100 + k)
        got = measure(model, args, kwargs, seed=k)
        last = max(i for i, v in enumerate(got.log10_delta) if v == v)
        profiles.append([v - got.log10_delta[last] for v in got.log10_delta])
        bars = error_bars(got.sites, 1.0)
    out = []
    for site, bar in enumerate(bars):
        values = [p[site] for p in profiles if math.isfinite(p[site])]
        if len(values) == draws and bar > 0:
            mean = statistics.fmean(values)
            # Deviations from the mean of few are too small by this much.
            grown = math.sqrt(draws / (draws - 1))
            out += [(grown * (v - mean), bar) for v in values]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=8)
    args = parser.parse_args()
    good = True
    for name, drawn, used in (("known", False, KNOWN_WEIGHTS), ("drawn", True, DRAWN_WEIGHTS)):
        found, within = [], []
        for kind, depth, width in itertools.product(KINDS, DEPTHS, WIDTHS):
            pairs = spread(kind, depth, width, drawn, args.draws)
            found.append(statistics.fmean((d / bar) ** 2 for d, bar in pairs))
            within += [abs(d) <= 2 * bar * math.sqrt(used) for d, bar in pairs]
            print(f"  {name} {kind:5} {depth:3} x {width:3}: C = {found[-1]:.2f}", file=sys.stderr)
        share = sum(within) / len(within)
        print(
            f"{name}: C = {statistics.fmean(found):.2f} (median {statistics.median(found):.2f}, "
            f"largest {max(found):.2f}); in use {used}: {100 * share:.1f} % within two bars"
        )
        good &= share >= 0.95
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
