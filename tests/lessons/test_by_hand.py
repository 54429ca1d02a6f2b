"""`evenflow step`: each number is autograds in float64 and the lessons; what it refuses."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evenflow import miniature as m
from evenflow.cli.app import main
from evenflow.lessons import REGISTRY, parse_net, walked
from twins import FUNCTIONS

EXAMPLE = Path(__file__).parents[2] / "examples" / "one_hidden_layer.toml"
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": lambda y, t: (y - t).square().sum() / 2 / len(y),
    "squared-whole": lambda y, t: (y - t).square().sum() / len(y),
    "cross-entropy": lambda y, t: F.cross_entropy(y, t),
}
MODES: dict[str | int, int] = {"online": 1, "epoch": 6, 4: 4}


def net(f: str, loss: str, mode: str | int, alpha: float, seed: int) -> dict[str, Any]:
    """A random network as a file would hold it: six samples, three layers."""
    dice = np.random.default_rng(seed)
    sizes = [3, *dice.integers(2, 5, 2).tolist(), 2]
    layers = [
        {"W": dice.normal(0, 0.6, (b, a)).tolist(), "b": dice.normal(size=b).tolist(), "f": f}
        for a, b in itertools.pairwise(sizes)
    ]
    layers[-1]["f"] = "identity" if loss == "cross-entropy" else f
    return {
        "x": dice.normal(size=(6, 3)).tolist(),
        "t": dice.dirichlet([1, 1], 6).tolist(),
        "loss": loss,
        "eta": 0.05,
        "alpha": alpha,
        "mode": mode,
        "steps": 5,
        "layer": layers,
    }


def by_autograd(told: dict[str, Any], batch: int) -> list[tuple[float, list[np.ndarray]]]:
    """(E before, all weights after) of each update: torch's own layers, and SGD written out."""
    layers = [
        [torch.tensor(n[key], dtype=torch.float64, requires_grad=True) for key in ("W", "b")]
        for n in told["layer"]
    ]
    flat = [p for pair in layers for p in pair]
    last = [torch.zeros_like(p) for p in flat]
    x, t = (torch.tensor(told[key], dtype=torch.float64) for key in ("x", "t"))
    out: list[tuple[float, list[np.ndarray]]] = []
    while True:
        for start in range(0, len(x), batch):
            y = x[start : start + batch]
            for (weight, bias), n in zip(layers, told["layer"], strict=True):
                y = FUNCTIONS[n["f"]](F.linear(y, weight, bias))
            error = LOSSES[told["loss"]](y, t[start : start + batch])
            slopes = torch.autograd.grad(error, flat)
            with torch.no_grad():
                for i, (p, slope) in enumerate(zip(flat, slopes, strict=True)):
                    last[i] = told["alpha"] * last[i] - told["eta"] * slope
                    p += last[i]
            out.append((error.item(), [p.detach().numpy().copy() for p in flat]))
            if len(out) == told["steps"]:
                return out


@pytest.mark.parametrize("alpha", [0.0, 0.9])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_every_number_is_autograds(f: str, loss: str, mode: str | int, alpha: float) -> None:
    for seed in range(10 if loss != "squared-whole" else 1):
        told = net(f, loss, mode, alpha, seed)
        found = walked(parse_net(told))
        assert found.apart < 1e-12 and found.why == "steps" and found.updates == 5
        for step, (error, weights) in zip(found.told, by_autograd(told, MODES[mode]), strict=True):
            assert step.loss == pytest.approx(error, rel=1e-12, abs=1e-12)
            ours = [p for n in step.after for p in (n.W, n.b)]
            for mine, theirs in zip(ours, weights, strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


def test_the_lessons_example_digit_by_digit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["step", str(EXAMPLE), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    numbers = REGISTRY["one-hidden-layer"].run().numbers
    first, second = told["steps"]
    assert first["forward"][1]["a"] == [[pytest.approx(numbers["O"], rel=1e-6)]]
    assert first["output_error"] == [[pytest.approx(numbers["E_o"], rel=1e-6)]]
    for i, error in enumerate(first["hidden_errors"][0][0]):
        assert error == pytest.approx(numbers[f"E_h[{i + 1}]"], rel=1e-6)
        slope = first["gradients"][1]["W"][0][i]
        assert slope == pytest.approx(numbers[f"∂E/∂Wo[{i + 1}]"], rel=1e-6)
    moved = np.linalg.norm(second["updates"][1]["W"])
    assert moved == pytest.approx(numbers["|ΔWo| at the second step"], rel=1e-6)


def test_each_gradient_is_told_as_its_product(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["step", str(EXAMPLE), "--steps", "1"]) == 0
    said = capsys.readouterr().out
    assert "∂E/∂W2[1,2] = E_o[1] · a1[2] = 0.56 · 0.6 = 0.336" in said
    assert "E_h = W2ᵀ E_o · f'(z1) = (0.448, 0.28, 0)" in said
    for row in re.findall(r"= ([−\d.]+) · ([−\d.]+) = ([−\d.]+)$", said, re.M):
        a, b, product = (float(v.replace("−", "-")) for v in row)
        assert product == pytest.approx(a * b, rel=1e-4, abs=1e-9)


def test_numbers_on_the_command_line_come_before_the_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--x", "1,2;0,1", "--t", "1;0", "--eta", "0.2", "--alpha", "0", "--mode", "epoch"]
    assert main(["step", str(EXAMPLE), *given, "--steps", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (step,) = told["steps"]
    assert step["samples"] == [1, 2] and len(step["forward"][0]["z"]) == 2


def test_it_stops_when_a_rule_holds_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace(
        "[[layer]]", "[stop]\nerror = 1e-6\n\n[[layer]]", 1
    )
    (tmp_path / "n.toml").write_text(text, encoding="utf-8")
    assert main(["step", str(tmp_path / "n.toml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["why"] == "error" and told["errors"][-1] <= 1e-6 < told["errors"][-2]
    assert len(told["steps"]) == 2 < told["updates"] == len(told["errors"]) - 1


@pytest.mark.parametrize(
    "change, said",
    [
        ({"x": [[1.0, 2.0]]}, "a sample of x has 2 numbers, but the network has 3 there"),
        ({"t": [[1.0]]}, "a sample of t has 1 numbers, but the network has 2 there"),
        ({"x": [[1, 2, 3], [1, 2]]}, "x has 3 numbers in its first row and 2 in row 2"),
        ({"x": "1"}, "x must be rows of numbers, as [[1, 2], [3, 4]]"),
        ({"eta": "fast"}, "eta must be a finite number, not 'fast'"),
        ({"eta": float("nan")}, "eta must be a finite number, not nan"),
        ({"mode": "batch"}, "mode must be online, epoch, or the samples of a mini-batch"),
        ({"loss": "huber"}, "loss must be one of squared, squared-whole, cross-entropy"),
        ({"layers": []}, "it has no 'layers'"),
        ({"layer": []}, "it has no layer; write [[layer]]"),
        ({"layer": [{"b": [1.0]}]}, "layer 1 has no W"),
        ({"layer": [{"W": [[1.0]], "b": [1.0, 2.0]}]}, "b_1 has 2 numbers, but W_1 has 1 rows"),
        ({"layer": [{"W": [[1.0]], "f": "relux"}]}, "no activation 'relux'"),
        ({"stop": {"loss": 1}}, "it has no 'stop.loss'"),
        ({"steps": -1}, "steps must be a whole number from 0, not -1"),
    ],
)
def test_what_is_wrong_is_one_sentence(change: dict[str, Any], said: str) -> None:
    told = net("tanh", "squared", "online", 0.0, 0) | change
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_net(told)


def test_layers_that_do_not_meet_are_one_sentence() -> None:
    told = net("tanh", "squared", "online", 0.0, 0)
    told["layer"][1]["W"] = [[1.0] * 9] * 2
    told["layer"][1]["b"] = [0.0, 0.0]
    with pytest.raises(ValueError, match=r"W_2 is 2×9, but layer 1 gives \d rows"):
        walked(parse_net(told))


def test_classes_are_the_targets_of_a_cross_entropy() -> None:
    told = net("tanh", "cross-entropy", "epoch", 0.0, 0)
    told["t"] = [0, 1, 1, 0, 1, 0]
    assert parse_net(told).t.tolist() == [[1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 1, 0]]
    with pytest.raises(ValueError, match="t names class 2, but the network has 2 outputs"):
        parse_net(told | {"t": [0, 1, 2, 0, 0, 0]})
    with pytest.raises(ValueError, match="shares that add up to 1"):
        parse_net(told | {"t": [[0.5, 0.6]] * 6})


@pytest.mark.parametrize(
    "content, said",
    [
        (b"x = [[", "is no TOML file"),
        (b"\xff\xfe", "is no TOML file"),
        (b"x = 1" * 400_000, "larger than a small network"),
    ],
)
def test_a_file_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    (tmp_path / "n.toml").write_bytes(content)
    assert main(["step", str(tmp_path / "n.toml")]) == 2
    assert said in capsys.readouterr().err
    assert main(["step", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["x", "t", "layer", "eta", "mode", "stop", "loss"]), JSON))
def test_whatever_a_file_holds_is_refused_in_a_sentence(change: dict[str, Any]) -> None:
    told = net("tanh", "squared", "online", 0.0, 0) | change
    try:
        parse_net(told)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("name", m.FAMILIES)
def test_families_are_stepped_too(name: str) -> None:
    told = net("tanh", "squared", "epoch", 0.9, 0)
    told["layer"][0]["f"] = f"{name}(0.7)"
    assert walked(parse_net(told)).apart < 1e-12


def test_what_grows_without_end_is_told_as_infinite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("eta = 0.05", "eta = 1e300")
    (tmp_path / "n.toml").write_text(text.replace('f = "relu"', 'f = "identity"'), encoding="utf-8")
    assert main(["step", str(tmp_path / "n.toml"), "--steps", "3", "--json"]) == 0
    assert "Infinity" in json.dumps(json.loads(capsys.readouterr().out))


def test_a_lesson_with_the_readers_own_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--x", "1,3", "--eta", "0.1", "--steps", "1", "--w", "1,0;0,1;1,1|1,1,1"]
    assert main(["explain", "--lesson", "one-hidden-layer", *own]) == 0
    said = capsys.readouterr().out
    assert "z1 = W1 x + b1 = (1.1, 3, 4.2)" in said and "η = 0.1" in said


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--lesson", "through-time", "--x", "1"], "has no small network to step"),
        (["--lesson", "linear-neuron", "--w", "1,2|3"], "w has weights of 2 layers"),
        (["--lesson", "linear-neuron", "--w", "1,2,3"], "W_1 must be 1 rows of 2 numbers"),
        (["--lesson", "linear-neuron", "--x", "1;a"], "--x must be numbers as 1,2;3,4"),
        (["--lesson", "linear-neuron", "-o", "a.txt"], "a lesson is written as .html"),
        (["--lesson", "linear-neuron", "--json"], "stands alone: leave out --json"),
        (["--eta", "0.1"], "--eta belongs to --lesson"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert main(["explain", *argv]) == 2
    assert said in capsys.readouterr().err
