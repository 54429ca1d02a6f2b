"""Tailored activations meet their constraints, by integrals and compositions of another kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from scipy import integrate

from evenflow import activations
from evenflow.activations.tailoring import leaky_c_map, leaky_slope, tailor

# Gauss-Hermite, not the package's own panels; tailored tanh is so smooth that it converges.
_Z, _W = hermegauss(120)
_W = _W / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("kind", ["tanh", "sigmoid"])
@pytest.mark.parametrize("depth", [1, 3, 50, 1000])
def test_the_four_constraints(kind: str, depth: int) -> None:
    """Q(1) = Q'(1) = C'(1) = 1 and depth·C''(1) = 0.3, from f alone by finite differences."""
    f = activations.curve(f"tailored_{kind}", depth=depth).f

    def q_map(q: float) -> float:
        return float(_W @ f(math.sqrt(q) * _Z) ** 2)

    h = 1e-3
    assert q_map(1.0) == pytest.approx(1.0, abs=1e-10)
    assert (q_map(1 + h) - q_map(1 - h)) / (2 * h) == pytest.approx(1.0, abs=1e-6)
    slope = (f(_Z + h) - f(_Z - h)) / (2 * h)
    assert float(_W @ slope**2) == pytest.approx(1.0, abs=1e-6)
    bend = (f(_Z + 0.01) - 2 * f(_Z) + f(_Z - 0.01)) / 1e-4
    assert depth * float(_W @ bend**2) == pytest.approx(0.3, rel=1e-3)


def test_the_curvature_of_fifty_layers_is_the_target() -> None:
    """C_f is C composed 50 times; its second derivative at 1 by one-sided differences."""
    f = activations.curve("tailored_tanh", depth=50).f
    nodes, weights = hermegauss(60)
    weights = weights / math.sqrt(2 * math.pi)

    def c_map(c: float) -> float:
        u1 = nodes[:, None]
        u2 = c * u1 + math.sqrt(1 - c * c) * nodes[None, :]
        return float(weights @ (f(u1) * f(u2)) @ weights)

    def composed(c: float) -> float:
        for _ in range(50):
            c = min(c_map(c), 1.0)
        return c

    h = 0.02
    first = (composed(1.0) - composed(1 - h)) / h
    second = (composed(1.0) - 2 * composed(1 - h) + composed(1 - 2 * h)) / h**2
    assert first == pytest.approx(1.0, abs=0.005)
    assert second == pytest.approx(0.3, rel=0.05)


def test_tailored_sigmoid_and_tanh_are_one_function() -> None:
    x = np.linspace(-30, 30, 301)
    for depth in (2, 50):
        tanh = activations.curve("tailored_tanh", depth=depth)
        sigmoid = activations.curve("tailored_sigmoid", depth=depth)
        assert np.allclose(tanh.f(x), sigmoid.f(x), rtol=1e-9, atol=1e-9)
    assert tailor("sigmoid", 50).alpha == pytest.approx(2 * tailor("tanh", 50).alpha)


def test_deeper_networks_get_straighter_functions() -> None:
    """alpha falls as 1/√depth: four times the depth, half the bend."""
    assert tailor("tanh", 4000).alpha == pytest.approx(tailor("tanh", 1000).alpha / 2, rel=1e-3)


def test_the_published_slope_and_target() -> None:
    """THEORY.md §4: 50 layers give a = 0.43."""
    assert leaky_slope(50) == pytest.approx(0.43, abs=0.005)
    for depth, similarity in ((20, 0.9), (50, 0.9), (50, 0.5), (500, 0.9)):
        a, c = leaky_slope(depth, similarity), 0.0
        for _ in range(depth):
            c = leaky_c_map(c, a)
        assert c == pytest.approx(similarity, abs=1e-10)
    assert leaky_slope(3) == 0.0  # even ReLU stays below 0.9 over three layers


@pytest.mark.parametrize("c", [-0.7, 0.0, 0.5, 0.95])
def test_the_c_map_of_leaky_relu_is_its_integral(c: float) -> None:
    """In polar coordinates, where kinks are rays: E over the angle, E r² = 2."""
    f = activations.curve("tailored_leaky_relu", depth=50).f
    s = math.sqrt(1 - c * c)

    def integrand(t: float) -> float:
        u1, u2 = math.cos(t), c * math.cos(t) + s * math.sin(t)
        return float(f(np.array(u1)) * f(np.array(u2)))

    turn = math.atan2(-c, s)
    points = sorted(p % (2 * math.pi) for p in (math.pi / 2, 3 * math.pi / 2, turn, turn + math.pi))
    mean = integrate.quad(integrand, 0, 2 * math.pi, points=points)[0] / (2 * math.pi)
    assert leaky_c_map(c, leaky_slope(50)) == pytest.approx(2 * mean, abs=1e-9)


def test_fifty_real_layers_keep_what_is_promised() -> None:
    """Orthogonal layers of 512 units, two orthogonal inputs: c comes out at 0.9, and q stays near
    1: its logarithm wanders by √(50·Var f²/512) ≈ 0.5, plain ReLU would halve it each layer."""
    torch.manual_seed(0)
    width, depth = 512, 50
    x = torch.zeros(2, width, dtype=torch.float64)
    x[0, 0] = x[1, 1] = math.sqrt(width)
    f = activations.get("tailored_leaky_relu", depth=depth)
    for _ in range(depth):
        weight = torch.nn.init.orthogonal_(torch.empty(width, width, dtype=torch.float64))
        x = f(x @ weight.T)
    q = (x**2).mean(1)
    assert abs(math.log(q.mean())) < 1.5
    similarity = float((x[0] @ x[1]) / (x[0].norm() * x[1].norm()))
    assert similarity == pytest.approx(0.9, abs=0.03)
