"""Every card computes; what it says is what slow looking, the tape and real deep networks say."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import nn

from evenflow import activations
from evenflow.activations import ACTIVATIONS, card
from evenflow.activations.card_text import as_data, sections, table, text
from evenflow.activations.meanfield import fixed_point
from evenflow.activations.shape import Shape
from evenflow.network import CLOSED, SATURATED

ELEMENTWISE = [name for name, a in ACTIVATIONS.items() if a.f is not None]
#: What a textbook says: bound of |f'|, saturated below and above, dead below and above.
KNOWN: dict[str, tuple[float, float | None, float | None, float | None, float | None]] = {
    "sigmoid": (0.25, -5.98645, 5.98645, None, None),
    "tanh": (1.0, -2.99322, 2.99322, None, None),
    "relu": (1.0, None, None, 0.0, None),
    "leaky_relu": (1.0, None, None, None, None),
    "prelu": (1.0, None, None, None, None),
    "elu": (1.0, math.log(0.01), None, None, None),
    "selu": (1.0507009874 * 1.6732632423, math.log(0.01), None, None, None),
    "swish": (1.09983932, None, None, None, None),
    "silu": (1.09983932, None, None, None, None),
    "gelu": (1.12890415, None, None, None, None),
    "mish": (1.08849816, None, None, None, None),
    "acon_c": (1.09983932, None, None, None, None),
    "softplus": (1.0, None, None, None, None),
    "hardtanh": (1.0, -1.0, 1.0, -1.0, 1.0),
}


def looks(name: str, **given: float) -> Shape:
    found = card(name, **given).shape
    assert found is not None
    return found


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_card_computes(name: str) -> None:
    made = card(name)
    assert made.name == name and not made.missing
    assert len(made.x) == len(made.f) == len(made.df) > 100
    assert [m.q for m in made.moments] == [0.1, 1.0, 10.0]
    assert [s.name for s in made.starts] == ["He", "Xavier", "LeCun", "torch default"]
    for start in made.starts:
        assert start.point.chi1 >= 0 and 0 <= start.point.c <= 1
        assert start.three_decades != 0
    assert hash(made) == hash(card(name.upper()))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_moments_are_plain_integrals(name: str) -> None:
    """scipy's adaptive quadrature over the module's own torch functions."""
    net = activations.get(name).double()
    kinks = activations.curve(name).kinks

    def value(x: float) -> float:
        with torch.no_grad():
            return float(net(torch.tensor([x], dtype=torch.float64)))

    def slope(x: float) -> float:
        z = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(net(z).sum(), z)[0])

    at_1 = next(m for m in card(name).moments if m.q == 1)
    for what, expected in (
        (value, at_1.mean),
        (lambda x: value(x) ** 2, at_1.second),
        (lambda x: slope(x) ** 2, at_1.slope),
    ):
        got, _ = integrate.quad(
            lambda z, g=what: g(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
            -9,
            9,
            points=[0.0, *kinks],
            epsabs=1e-8,
            limit=60,
        )
        assert got == pytest.approx(expected, abs=3e-7)


@pytest.mark.parametrize("name", KNOWN)
def test_shapes_are_those_of_the_textbook(name: str) -> None:
    shape = looks(name)
    bound, *regions = KNOWN[name]
    assert shape.bound == pytest.approx(bound, rel=1e-7)
    found = (shape.saturated_below, shape.saturated_above, shape.dead_below, shape.dead_above)
    for got, wanted in zip(found, regions, strict=True):
        assert (got is None) == (wanted is None), name
        assert got == (None if wanted is None else pytest.approx(wanted, abs=1e-4))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_bound_is_never_passed_and_saturation_begins_at_one_per_cent(name: str) -> None:
    shape, curve = looks(name), activations.curve(name)
    x = np.random.default_rng(0).uniform(-60, 60, 200_000)
    slope = np.abs(curve.df(x))
    assert slope.max() <= shape.bound * (1 + 1e-9)
    for edge, side in ((shape.saturated_below, -1), (shape.saturated_above, 1)):
        if edge is not None:
            beyond = slope[side * x > side * edge + 1e-9]
            assert beyond.size and np.all(beyond < 0.01 * shape.bound)
            just_inside = curve.df(np.array([edge - side * 1e-6]))[0]
            assert abs(just_inside) > 0.0099 * shape.bound
    assert shape.low - 1e-9 <= curve.f(x).min() and curve.f(x).max() <= shape.high + 1e-9


def test_saturation_is_where_the_tape_says_it_is() -> None:
    """The tape judges by outputs: f at the card's edge is its limit."""
    compared = 0
    for name in set(ELEMENTWISE) & set(SATURATED):
        shape, f = looks(name), activations.curve(name).f
        edges = (shape.saturated_below, shape.saturated_above)
        for edge, limit in zip(edges, SATURATED[name], strict=True):
            assert (edge is None) == math.isinf(limit), name
            if edge is not None:
                assert float(f(np.array(edge))) == pytest.approx(limit, rel=1e-6)
                compared += 1
    assert compared >= 8
    assert "hardtanh" in CLOSED


@pytest.mark.parametrize("slope", [0.1, 1.0, 5.0, 60.0])
def test_the_sigmoid_of_slope_alpha_has_bound_alpha_over_4(slope: float) -> None:
    shape = looks("sigmoid", slope=slope)
    assert shape.bound == pytest.approx(slope / 4, rel=1e-9)
    assert shape.bound_at == pytest.approx(0.0, abs=1e-6)
    assert shape.saturated_above == pytest.approx(5.98645 / slope, rel=1e-5)


def test_parameters_move_the_regions() -> None:
    shape = looks("hardtanh", min_val=-0.5, max_val=2.0)
    assert (shape.saturated_below, shape.saturated_above) == (-0.5, 2.0)
    assert (shape.low, shape.high) == (-0.5, 2.0)
    assert card("hardtanh", min_val=-0.5, max_val=2.0).kinks == (-0.5, 2.0)
    # a falling ACON: the off side is on the right, and it is off, not saturated
    falling = looks("acon_c", p1=-1.0, p2=0.0)
    assert falling.saturated_above is None and falling.high == math.inf
    # β = 0 makes Swish a line: bounded by 1/2 everywhere, never flat
    line = looks("swish", beta=0.0)
    assert (line.bound, line.odd, line.low) == (0.5, True, -math.inf)


def test_zero_centred_and_odd() -> None:
    centred = {name for name in ELEMENTWISE if card(name).zero_centred}
    assert centred == {"tanh", "hardtanh", "selu"}
    assert {name for name in ELEMENTWISE if looks(name).odd} == {"tanh", "hardtanh"}
    assert not looks("gelu").monotone and looks("elu").monotone


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_critical_starts_are_critical(name: str) -> None:
    """σw² Eφ'² = 1 and σw² Eφ² + σb² = q, by Monte Carlo; in the limit q → 0 by f'(0±)."""
    curve = activations.curve(name)
    x = np.random.default_rng(1).standard_normal(400_000)
    for c in card(name).critical:
        z = math.sqrt(c.q or 1e-8) * x
        slopes = c.sw2 * curve.df(z) ** 2
        assert abs(slopes.mean() - 1) < 5 * slopes.std() / 600 + 1e-3
        if c.q:
            ahead = c.sw2 * curve.f(z) ** 2 + c.sb2
            assert abs(ahead.mean() - c.q) < 5 * ahead.std() / 600 + 1e-9


def test_what_has_no_critical_start_says_so() -> None:
    assert card("softplus").critical == ()
    assert "none" in text(card("softplus")).split("Critical")[1].split("Deep")[0]


MEASURED = [("tanh", 1 / 3, 40), ("sigmoid", 1.0, 25), ("selu", 1.0, 60), ("leaky_relu", 1 / 3, 40)]


@pytest.mark.parametrize(("name", "sw2", "depth"), MEASURED)
def test_deep_networks_lose_what_chi_1_predicts(name: str, sw2: float, depth: int) -> None:
    """A real perceptron of width 300, δ at its first and last pre-activations, float64."""
    torch.manual_seed(0)
    width, net = 300, activations.get(name)
    slopes = []
    for _ in range(2):
        z = torch.randn(32, width, dtype=torch.float64, requires_grad=True)
        h, marks = z, []
        for _ in range(depth):
            weight = torch.randn(width, width, dtype=h.dtype) * (sw2 / width) ** 0.5
            h = nn.functional.linear(h, weight)
            marks.append(h)
            h = net(h)
        first, last = torch.autograd.grad(
            (marks[-1] * torch.randn_like(marks[-1])).sum(), [marks[5], marks[-1]]
        )
        slopes.append(float((first.norm() / last.norm()).log10()) / (depth - 6))
    curve = activations.curve(name)
    point = fixed_point(curve.f, curve.df, sw2, 0.0, curve.kinks)
    assert np.mean(slopes) == pytest.approx(0.5 * math.log10(point.chi1), rel=0.04, abs=0.004)


def test_meta_acon_says_what_cannot_be_computed() -> None:
    made = card("meta_acon")
    assert made.shape is None and made.critical == () and made.starts == ()
    assert "depends on other elements" in made.missing
    assert "not computed" in text(made)
    assert [s.title for s in sections(made)] == ["About"]


def test_wrong_names_and_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean gelu"):
        card("gelo")
    with pytest.raises(ValueError, match="'alpha'; it takes none"):
        card("tanh", alpha=1)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_cards_can_be_told(name: str) -> None:
    made = card(name)
    said = text(made)
    assert made.title in said and made.source.split(";")[0][:30] in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 110
    assert "nan" not in said.lower().replace("nair", "")
    data = json.loads(json.dumps(as_data(made), allow_nan=False))
    assert data["name"] == name
    if made.starts:
        assert {"xi_c", "xi_grad", "chi1"} <= set(data["starts"][0]["point"])
        assert as_data(card("relu"))["starts"][0]["point"]["xi_grad"] == "inf"


def test_the_table_has_a_line_for_each() -> None:
    lines = table(map(card, ACTIVATIONS)).splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(ACTIVATIONS)]] == list(ACTIVATIONS)
    assert max(map(len, lines)) < 140


def test_cards_need_no_torch() -> None:
    code = (
        "import sys; from evenflow import activations; activations.card('tanh');"
        "assert 'torch' not in sys.modules; activations.get('tanh'); assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
