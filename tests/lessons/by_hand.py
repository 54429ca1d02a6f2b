"""Every lesson's numbers a second time: derivations in plain Python, and finite differences.

Nothing here calls the tape or the miniature's backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from evenflow.lessons import (
    choosing_activation,
    dead_relu,
    early_stopping,
    four_layers,
    one_hidden_layer,
    online_and_epoch,
    paralysis,
    residual,
    ten_hidden_layers,
    through_time,
)
from evenflow.lessons.reading import activation

Numbers = Mapping[str, float]


def near(value: float, rel: float = 1e-8) -> object:
    return pytest.approx(value, rel=rel, abs=1e-12)


def slope_of(f: Callable[[float], float], x: float, h: float = 1e-5) -> object:
    """Central difference of f at x, float64."""
    return pytest.approx((f(x + h) - f(x - h)) / (2 * h), rel=1e-6, abs=1e-9)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def linear_neuron(n: Numbers) -> None:
    assert (n["y"], n["E"], n["∂E/∂y"]) == (2, 4, 4)
    assert n["∂E/∂w1"] == slope_of(lambda w: (0 - (w + 0.5)) ** 2, 1.5)
    assert n["∂E/∂w2"] == slope_of(lambda w: (0 - (1.5 + w)) ** 2, 0.5)
    assert n["E after one step"] == near((0.6 * 2) ** 2)
    assert n["|Δw|"] == near(0.1 * math.hypot(4, 4))
    assert n["y after 10 steps of 0.55"] == near(2 * 1.2**10)


def nested_functions(n: Numbers) -> None:
    def soft(x: float) -> float:
        return math.log(1 + math.exp(x))

    c = soft(0.5)
    b = sigmoid(c)
    assert (n["c"], n["b"], n["f"]) == (near(c), near(b), near(math.tanh(b)))
    assert n["A'(b)"] == near(1 - math.tanh(b) ** 2) == n["∂f/∂b"]
    assert n["B'(c)"] == near(b * (1 - b))
    assert n["C'(x)"] == near(sigmoid(0.5))
    assert n["∂f/∂b"] == slope_of(math.tanh, b) == n["∂f/∂b as the tape read it"]
    assert n["∂f/∂c"] == slope_of(lambda v: math.tanh(sigmoid(v)), c)
    assert n["∂f/∂x"] == slope_of(lambda v: math.tanh(sigmoid(soft(v))), 0.5)
    assert n["∂f/∂x"] == near(n["A'(b)"] * n["B'(c)"] * n["C'(x)"])


def four_layers_(n: Numbers) -> None:
    one, two, three = four_layers.network()
    x = [1.0, 0.5, -1.0, 2.0]

    def units(w: np.ndarray, b: np.ndarray, a: list[float]) -> list[float]:
        return [sigmoid(sum(w[i][j] * a[j] for j in range(len(a))) + b[i]) for i in range(len(b))]

    def error(w22: float, bias: tuple[float, float, float, float] = (0, 0, 0, 0)) -> float:
        w2 = two.W.copy()
        w2[1, 1] = w22
        a1 = units(one.W, one.b + np.array(bias[:2]), x)
        a2 = units(w2, two.b + np.array(bias[2:]), a1)
        return (units(three.W, three.b, a2)[0] - 1) ** 2 / 2

    a1 = units(one.W, one.b, x)
    a2 = units(two.W, two.b, a1)
    y = units(three.W, three.b, a2)[0]
    d3 = (y - 1) * y * (1 - y)
    d2 = [three.W[0, i] * d3 * a2[i] * (1 - a2[i]) for i in (0, 1)]
    d1 = [sum(two.W[k, i] * d2[k] for k in (0, 1)) * a1[i] * (1 - a1[i]) for i in (0, 1)]
    assert (n["y"], n["δ_3"]) == (near(y), near(d3))
    assert [n["δ_2[1]"], n["δ_2[2]"]] == [near(d) for d in d2]
    assert [n["δ_1[1]"], n["δ_1[2]"]] == [near(d) for d in d1]
    assert n["∂E/∂w22"] == near(d2[1] * a1[1]) == n["product of the five factors"]
    assert n["∂E/∂w22"] == slope_of(error, 0.8)
    for i, name in enumerate(("δ_1[1]", "δ_1[2]", "δ_2[1]", "δ_2[2]")):
        move = [0.0] * 4

        def by_bias(v: float, i: int = i, move: list[float] = move) -> float:
            return error(0.8, tuple(v if k == i else 0.0 for k in range(4)))

        assert n[name] == slope_of(by_bias, 0.0)
    assert n["rms of δ_2 as the tape read it"] == near(math.hypot(*d2) / math.sqrt(2))


def one_hidden_layer_(n: Numbers) -> None:
    hidden, out = one_hidden_layer.network()
    x, eta, alpha = [1.0, 2.0], 0.05, 0.5

    def answer(wh: np.ndarray, bh: np.ndarray, wo: np.ndarray, bo: float) -> tuple[float, list]:
        h = [max(0.0, wh[i][0] * x[0] + wh[i][1] * x[1] + bh[i]) for i in range(3)]
        return max(0.0, sum(wo[i] * h[i] for i in range(3)) + bo), h

    wh, bh, wo, bo = hidden.W.copy(), hidden.b.copy(), out.W[0].copy(), float(out.b[0])
    o, h = answer(wh, bh, wo, bo)
    e_o = o - 1
    e_h = [wo[i] * e_o * (h[i] > 0) for i in range(3)]
    assert (n["O"], n["E_o"]) == (near(o), near(e_o))
    for i in range(3):
        assert n[f"E_h[{i + 1}]"] == near(e_h[i])
        assert n[f"∂E/∂Wo[{i + 1}]"] == near(e_o * h[i])

        def by_wo(v: float, i: int = i) -> float:
            return (answer(wh, bh, np.where(np.arange(3) == i, v, wo), bo)[0] - 1) ** 2 / 2

        def by_bh(v: float, i: int = i) -> float:
            return (answer(wh, np.where(np.arange(3) == i, v, bh), wo, bo)[0] - 1) ** 2 / 2

        assert n[f"∂E/∂Wo[{i + 1}]"] == slope_of(by_wo, float(wo[i]))
        assert n[f"E_h[{i + 1}]"] == slope_of(by_bh, float(bh[i]))
    assert n["∂E/∂Wh[1,2]"] == near(e_h[0] * 2)
    size_h = math.sqrt(sum((e * v) ** 2 for e in e_h for v in x))
    first = [-eta * e_o * v for v in h]
    assert n["|ΔWh| at the first step"] == near(eta * size_h)
    assert n["|ΔWo| at the first step"] == near(math.hypot(*first))
    wh2 = wh - eta * np.outer(e_h, x)
    bh2 = bh - eta * np.array(e_h)
    o2, h2 = answer(wh2, bh2, wo + np.array(first), bo - eta * e_o)
    second = [-eta * (o2 - 1) * h2[i] + alpha * first[i] for i in range(3)]
    assert n["|ΔWo| at the second step"] == near(math.hypot(*second))


def ten_hidden_layers_(n: Numbers) -> None:
    layers = ten_hidden_layers.chain()

    def forward(w1: float) -> list[float]:
        h = [1.5]
        for k, layer in enumerate(layers):
            w = w1 if k == 0 else layer.W.item()
            h.append(sigmoid(w * h[-1] + layer.b.item()))
        return h

    w1 = layers[0].W.item()
    h = forward(w1)
    factors = [h[-1] - 0.0]
    for k in range(10, -1, -1):
        factors.append(h[k + 1] * (1 - h[k + 1]))
        factors.append(layers[k].W.item() if k else 1.5)
    assert len(factors) == 23 == n["factors"]
    assert n["∂E/∂W1"] == near(math.prod(factors)) == n["product"]
    assert n["decades"] == near(math.log10(abs(math.prod(factors))))
    assert n["decades of the slopes"] == near(sum(math.log10(f) for f in factors[1::2]))
    assert n["decades of the weights"] == near(sum(math.log10(f) for f in factors[2:-1:2]))
    step = 1e-3
    found = (forward(w1 + step)[-1] ** 2 - forward(w1 - step)[-1] ** 2) / 2 / (2 * step)
    assert n["∂E/∂W1"] == pytest.approx(found, rel=1e-4)
    for hidden in (1, 10, 50, 100):
        each = [2 * k + 3 for k in range(hidden + 1)]  # of the last weight .. of the first
        assert n[f"written out, n = {hidden}"] == sum(each) == (hidden + 1) * (hidden + 3)
        assert n[f"each once, n = {hidden}"] == 2 + 2 * hidden + (hidden + 1)


def learnt_activations(n: Numbers) -> None:
    z = np.linspace(-3, 3, 61)
    functions = {
        "prelu a": lambda k: np.where(z > 0, z, k * z),
        "swish β": lambda k: z / (1 + np.exp(-k * z)),
    }
    for name, start, goal in (
        ("prelu a", 0.25, 0.6), ("swish β", 1, 4), ("swish β", 1, 10), ("swish β", 10, 1)
    ):  # fmt: skip
        f = functions[name]

        def error(k: float, f: Callable[[float], object] = f, goal: float = goal) -> float:
            return float(np.mean((np.asarray(f(k)) - np.asarray(f(goal))) ** 2)) / 2

        told = f"{name} {start:g} → {goal:g}"
        assert n[f"first gradient, {told}"] == slope_of(error, start)
        k = float(start)
        for _ in range(300):  # down the slope, found by differences
            k -= (error(k + 1e-6) - error(k - 1e-6)) / 2e-6
        assert n[f"at the end, {told}"] == pytest.approx(k, rel=1e-5)


def centring_(n: Numbers) -> None:
    for mean in (0.0, 0.5, 1.0, 2.0):
        kappa = 1 + 2 * mean**2
        assert n[f"κ, mean {mean:g}"] == near(kappa)
        left = (kappa - 1) / (kappa + 1)
        steps = 1 if left == 0 else math.ceil(math.log(1e-3) / math.log(left) - 1e-9)
        assert n[f"steps, mean {mean:g}"] == steps
    assert n["one way, mean 2"] == 1 and n["one way, mean 0"] == 0


def paralysis_(n: Numbers) -> None:
    x, t = paralysis.X, paralysis.T
    for eta in paralysis.RATES:
        ends, pushed = [], []
        for seed in range(paralysis.SEEDS):
            (w1, b1, _), (w2, b2, _) = paralysis.start(seed)
            for step in range(paralysis.STEPS + 1):
                with np.errstate(over="ignore"):
                    h = 1 / (1 + np.exp(-(w1 @ x + b1[:, None])))
                    z = w2 @ h + b2[:, None]
                    y = 1 / (1 + np.exp(-z))
                if step == 20:
                    pushed.append(np.abs(z).min())
                d2 = (y - t) / 4 * y * (1 - y)
                d1 = (w2.T @ d2) * h * (1 - h)
                w2, b2 = w2 - eta * d2 @ h.T, b2 - eta * d2.sum(1)
                w1, b1 = w1 - eta * d1 @ x.T, b1 - eta * d1.sum(1)
            ends.append(float(((y - t) ** 2).sum()) / 8)
        assert n[f"learned, η = {eta:g}"] == pytest.approx(sum(e < 0.01 for e in ends), abs=1)
        assert n[f"|z| after 20, η = {eta:g}"] == pytest.approx(np.median(pushed), rel=0.05)
    assert n["learned, η = 3000"] == 0 and n["learned, η = 30"] >= 9
    assert n["largest |z| at the start"] < 3


def saturation(n: Numbers) -> None:
    assert n["δ of the push"] == near(-0.5 * 0.25)
    assert n["w after the push"] == near(4 * 0.125 * 40)
    for w in (0, 1, 2, 3, 4, 5, 6, 10, 20):
        y = sigmoid(w)
        assert n[f"∂E/∂w at w = {w}"] == near(y * y * (1 - y), 1e-6)
        assert n[f"slope at w = {w}"] == near(y * (1 - y), 1e-6)
        assert n[f"∂E/∂w at w = {w}"] == slope_of(lambda v: sigmoid(v) ** 2 / 2, w)
    assert n["first frozen update"] == pytest.approx(4 * math.exp(-20), rel=1e-4)
    assert n["w moved by 50 steps"] == pytest.approx(200 * math.exp(-20), rel=1e-4)
    xs = np.linspace(-1, 1, 201)
    flat = [1 / (4 * math.cosh(10 * x) ** 2) < 0.0025 for x in xs]
    assert n["saturated share"] == pytest.approx(np.mean(flat), abs=0.011)
    assert n["gradient in float32"] == 0
    assert n["slope at 1 % of its bound"] == pytest.approx(math.log(199 + math.sqrt(199**2 - 1)))
    z = n["slope at 1 % of its bound"]
    assert sigmoid(z) * (1 - sigmoid(z)) == pytest.approx(0.0025)
    assert n["float32 is exactly 1 from"] == pytest.approx(24 * math.log(2), abs=2e-3)

    def steps(w: float, move: Callable[[float], float]) -> float:
        for k in range(2000):
            if w <= 0:
                return k
            w -= move(w)
        return math.inf

    for w in (5.0, 6.0, 10.0):
        back = steps(w, lambda v: sigmoid(v) ** 2 * (1 - sigmoid(v)))
        assert n[f"steps back from {w:g}"] == back
    assert n["steps back from 10"] == math.inf
    assert n["steps back from 20 by cross-entropy"] == steps(20.0, sigmoid) < 25


def gain_control(n: Numbers) -> None:
    for a in (0.1, 0.5, 1, 2, 3, 5, 10):
        assert n[f"swing at {a:g}"] == near(math.tanh(a / 2))
        assert n[f"slope at {a:g}"] == near(1 / (4 * math.cosh(a / 2) ** 2), 1e-7)
        assert n[f"slope at {a:g}"] == slope_of(sigmoid, a)
        assert n[f"hard swing at {a:g}"] == near(min(a / 2, 1))
    assert n["compression"] == near(math.tanh(5) / math.tanh(0.05))


def dead_relu_(n: Numbers) -> None:
    xs = [k / 8 for k in range(1, 9)]

    def unit(
        w: float, b: float, rows: list[tuple[float, float]], off: float
    ) -> tuple[float, float]:
        """∂E/∂w and ∂E/∂b of a rectifier with slope `off` on its off side."""
        by_w = by_b = 0.0
        for x, t in rows:
            z = w * x + b
            slope = 1.0 if z > 0 else off
            d = (slope * z - t) * slope / len(rows)
            by_w, by_b = by_w + d * x, by_b + d
        return by_w, by_b

    calm = [(x, x) for x in xs]
    for what, (b, (x, t), eta) in dead_relu.INCIDENTS.items():
        rows = list(zip(x[0].tolist(), t[0].tolist(), strict=True))
        by_w, by_b = unit(2.0, b, rows, 0.0)
        w, bias = 2 - eta * by_w, b - eta * by_b
        assert (n[f"w, {what}"], n[f"b, {what}"]) == (near(w), near(bias))
        assert n[f"gradient, {what}"] == near(abs(unit(w, bias, calm, 0.0)[0]))
        killed = all(w * v + bias <= 0 for v in xs)
        assert killed == (what != dead_relu.CALM)
        assert n[f"dead, {what}"] == float(killed)
        assert n[f"epochs back, {what}"] == (math.inf if killed else 0)
        by_w, by_b = unit(2.0, b, rows, 0.01)
        w, bias, back = 2 - eta * by_w, b - eta * by_b, math.inf
        for epoch in range(2001):
            if any(w * v + bias > 0 for v in xs):
                back = epoch
                break
            by_w, by_b = unit(w, bias, calm, 0.01)
            w, bias = w - 0.1 * by_w, bias - 0.1 * by_b
        assert n[f"leaky back, {what}"] == back
    assert n["w, an outlier"] == near(2 - 178.5)
    assert n["leaky back, a negative bias"] < math.inf

    def error(v: float) -> float:
        return sum((max(v * x + n[f"b, {dead_relu.CALM}"], 0) - x) ** 2 for x in xs) / 16

    assert n[f"gradient, {dead_relu.CALM}"] == slope_of(error, n[f"w, {dead_relu.CALM}"])
    assert n["dead of 16, rate 0.1"] == 0 == n["dead of 16, outlier 1"]
    assert n["dead of 16, outlier 100"] >= 12 and n["dead of 16, rate 1"] >= 12
    assert n["dead of 16, bias 0"] < n["dead of 16, bias -0.5"] < n["dead of 16, bias -1"] == 16


def online_and_epoch_(n: Numbers) -> None:
    xs, ts = online_and_epoch.X6[0], online_and_epoch.T6[0]

    def pull(w: float, i: int) -> float:
        y = math.tanh(w * xs[i])
        return (y - ts[i]) * (1 - y * y) * xs[i]

    def error(w: float) -> float:
        return float(np.mean((np.tanh(w * xs) - ts) ** 2) / 2)

    poor = online_and_epoch.POOR
    assert n["∂E/∂w in the poor minimum"] == near(np.mean([pull(poor, i) for i in range(6)]))
    assert n["∂E/∂w in the poor minimum"] == slope_of(error, poor)
    alone = [n[f"∂E/∂w of example {i + 1} there"] for i in range(6)]
    assert alone == [near(pull(poor, i)) for i in range(6)]
    # the mean vanishes, the single ones do not: that is what carries online steps over the hill
    assert abs(n["∂E/∂w in the poor minimum"]) < 1e-3 < 0.05 < min(map(abs, alone))
    assert max(map(abs, alone)) > 1
    assert error(poor) < error(poor - 0.05) and error(poor) < error(poor + 0.05)
    assert error(-3.71) < error(poor) < error(online_and_epoch.HILL)
    for eta in online_and_epoch.RATES:
        past = 0
        for seed in range(20):
            w, rng = poor, np.random.default_rng([1, seed])
            for _ in range(60):
                for i in rng.permutation(6):
                    w -= eta * pull(w, i)
            past += w < -1.25
        assert n[f"left, online {eta:g}"] == past
        w = poor
        for _ in range(60):
            w -= eta * float(np.mean([pull(w, i) for i in range(6)]))
        assert n[f"left, epoch {eta:g}"] == (1 if w < -1.25 else 0)
    assert n["left, online 0.1"] == 20 and n["left, epoch 0.6"] == 0
    dice, several = np.random.default_rng(6), 0
    for _ in range(1000):  # minima are where the slope turns from falling to rising
        x, t = dice.normal(0, 2, (1, 6)), dice.uniform(-1, 1, (1, 6))
        w = np.linspace(-8, 8, 3201)[:, None]
        slopes = ((np.tanh(w * x) - t) * x / np.cosh(w * x) ** 2).sum(axis=1)
        several += int(((slopes[:-1] < 0) & (slopes[1:] > 0)).sum() > 1)
    told = n["random sets with more than one minimum"]
    assert told == pytest.approx(several, abs=15) and told < 500

    x, t = (v[0] for v in online_and_epoch.line(0, outlier=True))
    assert n["outlier end, epoch"] == near(float(np.sum(x * t)) / 64, 1e-5)
    assert n["outlier step, epoch"] == near(0.05 * float(np.mean(x * t)))
    assert n["outlier step, online"] == pytest.approx(0.05 * 50, rel=0.1)
    assert n["spread, epoch 0.2"] < 1e-6 and n["off, epoch 0.2"] < 1e-6
    assert 0.1 < n["spread, online 0.05"] < n["spread, online 0.2"] < math.sqrt(0.2 / 1.8) * 1.2

    for alpha in (0.0, 0.5, 0.9):
        w, move, steps = 6.0, 0.0, 0
        while w > 0:
            y = sigmoid(w)
            move = -y * y * (1 - y) + alpha * move
            w, steps = w + move, steps + 1
        assert n[f"plateau, α = {alpha:g}"] == steps


def early_stopping_(n: Numbers) -> None:
    (one, two), (x, t), _ = early_stopping.problem(0)
    errors = []
    for v, wanted in zip(x[0], t[0], strict=True):
        hidden = [math.tanh(one.W[i, 0] * v + one.b[i]) for i in range(40)]
        y = sum(two.W[0, i] * hidden[i] for i in range(40)) + two.b[0]
        errors.append((y - wanted) ** 2 / 2)
    assert n["E at birth, seed 0"] == near(float(np.mean(errors)))
    assert n["better"] >= 8  # of 10 seeds
    assert n["early, median"] < 0.6 * n["on, median"]
    assert n["lower training error at the end"] == 10


def through_time_(n: Numbers) -> None:
    model, generator = through_time.reader("RNN", 0)
    model = model.double()
    ids, _ = through_time.passages(2, generator)
    x = model.letters(ids).detach()
    far = through_time.reach(model, x)
    w, u, b, c = (
        model.memory.get_parameter(f"{name}_l0").detach().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    size = len(u)
    sign = 1.0 - 2.0 * (np.arange(2 * size) % 2).reshape(2, size)
    squares = np.zeros(through_time.LENGTH)
    for row in range(2):
        states = [np.zeros(size)]
        for v in x[row].numpy():
            states.append(np.tanh(w @ v + b + u @ states[-1] + c))
        delta = sign[row]
        for k in range(through_time.LENGTH - 1, -1, -1):
            at_z = delta * (1 - states[k + 1] ** 2)
            squares[k] += np.sum((w.T @ at_z) ** 2)
            delta = u.T @ at_z
    np.testing.assert_allclose(far, np.sqrt(squares), rtol=1e-8)
    assert n["decades, RNN"] == near(math.log10(far[0] / far[-1]))
    for name in through_time.READERS:
        model, generator = through_time.reader(name, 0)
        model = model.double()
        x = model.letters(through_time.passages(2, generator)[0]).detach()
        c = torch.tensor(1.0 - 2.0 * (np.arange(2 * size) % 2).reshape(2, size))
        v = torch.randn(x.shape[0], x.shape[2], dtype=x.dtype, generator=generator)
        x.requires_grad_()
        (grad,) = torch.autograd.grad((model.last(x) * c).sum(), x)
        norms = through_time.reach(model, x)
        with torch.no_grad():
            for t in (0, 10, 29):
                step = torch.zeros_like(x)
                step[:, t] = 1e-4 * v
                there, back = model.last(x + step), model.last(x - step)
                found = float(((there - back) * c).sum()) / 2e-4
                told = float((grad[:, t] * v).sum())
                assert told == pytest.approx(found, rel=1e-4, abs=1e-11)
                assert norms[t] == near(float(grad[:, t].norm()))
        if "attention" not in name:
            probe = n[f"as the tape's probe reads it, {name}"]
            assert probe == pytest.approx(n[f"decades, {name}"], abs=0.01)
    assert n["decades, RNN"] < -6 and n["decades, LSTM, forget bias 0"] < -5
    assert n["decades, LSTM, forget bias 4"] > -1.5 and n["decades, attention"] > -1.5
    assert max(n["recalls, RNN"], n["recalls, LSTM, forget bias 0"]) < 0.4
    assert min(n["recalls, LSTM, forget bias 4"], n["recalls, attention"]) > 0.9


def residual_(n: Numbers) -> None:
    x, t = residual.data()

    def walk(skip: bool, moved: np.ndarray | float = 0.0) -> tuple[float, list[float]]:
        """E, and the rms of δ at z_1 .. z_20; `moved` is added to W of layer 3."""
        layers = residual.network(0)
        layers[2] = layers[2]._replace(W=layers[2].W + moved)
        h, kept = x, []
        for k, layer in enumerate(layers):
            z = layer.W @ h + layer.b[:, None]
            if k == 20:
                break
            f = np.tanh(z)
            kept.append(f)
            h = h + f if skip and k else f
        p = np.exp(z - z.max(0))
        p /= p.sum(0)
        delta = layers[20].W.T @ ((p - t) / 200)
        sizes = []
        for k in range(19, -1, -1):
            at_z = delta * (1 - kept[k] ** 2)
            sizes.append(float(np.sqrt(np.mean(at_z**2))))
            delta = layers[k].W.T @ at_z + (delta if skip and k else 0)
        return float(-np.sum(t * np.log(p)) / 200), sizes[::-1]

    for name, kind in (("plain", residual.Net), ("residual", residual.Skipping)):
        skip = name == "residual"
        error, sizes = walk(skip)
        assert n[f"decades, {name}, seed 0"] == near(math.log10(sizes[0] / sizes[-1]))
        step = residual.at_birth(kind, 0)
        np.testing.assert_allclose(residual.profile(step), sizes, rtol=1e-8)
        way = np.random.default_rng(3).normal(size=(16, 16))
        found = (walk(skip, 1e-4 * way)[0] - walk(skip, -1e-4 * way)[0]) / 2e-4
        told = float(np.sum(step.grad["W3.weight"] * way))
        assert told == pytest.approx(found, rel=1e-4, abs=1e-9)
        assert error > 0
    assert n["gain, plain"] == pytest.approx(1 / math.sqrt(3), abs=0.06)
    assert n["gain, residual"] == pytest.approx(n["gain, predicted"], abs=0.05)
    assert 0.5 < n["road's share, last block"] < 1.2
    assert n["decades, plain"] < -4 < -0.5 < n["decades, residual"]
    assert n["accuracy, worst residual"] > n["accuracy, best plain"] + 0.2


def choosing_activation_(n: Numbers) -> None:
    for name in choosing_activation.NAMES:
        f = activation(name)
        one, two = choosing_activation.network(name, 0)[:2]
        with torch.no_grad():
            x = torch.from_numpy(choosing_activation.data()[0])
            h = f(torch.from_numpy(one.W) @ x + torch.from_numpy(one.b)[:, None])
            z = torch.from_numpy(two.W) @ h + torch.from_numpy(two.b)[:, None]
            slopes = (f(z + 1e-6) - f(z - 1e-6)) / 2e-6
        # the tape's slope is over the elements an error came to: all but for rectifiers
        rel = 0.06 if name in ("relu", "leaky_relu") else 1e-4
        assert n[f"slope, {name}"] == pytest.approx(float(slopes.square().mean().sqrt()), rel=rel)
    assert n["slope, sigmoid"] <= 0.25
    bent = [k for k in choosing_activation.NAMES if k not in ("identity", "sigmoid")]
    assert all(n[f"slope, {k}"] > 0.5 for k in bent)
    assert all(n[f"accuracy, {k}"] < 0.75 for k in ("identity", "sigmoid"))
    assert all(n[f"accuracy, {k}"] > 0.9 for k in bent)
    assert n["decades, sigmoid"] < min(n[f"decades, {k}"] for k in bent)
    assert n["what the rate makes"] > 2 * n["spread of the best"]


BY_HAND: dict[str, Callable[[Numbers], None]] = {
    "linear-neuron": linear_neuron,
    "nested-functions": nested_functions,
    "four-layers": four_layers_,
    "one-hidden-layer": one_hidden_layer_,
    "ten-hidden-layers": ten_hidden_layers_,
    "saturation": saturation,
    "gain-control": gain_control,
    "dead-relu": dead_relu_,
    "online-and-epoch": online_and_epoch_,
    "early-stopping": early_stopping_,
    "through-time": through_time_,
    "residual": residual_,
    "choosing-activation": choosing_activation_,
    "learnt-activations": learnt_activations,
    "paralysis": paralysis_,
    "centring": centring_,
}
