"""Every activation of the registry: its module, its curve, its derivative, its double backward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from evenflow import activations
from evenflow.activations import ACTIVATIONS

#: Arguments without which a module cannot be made.
NEEDED: dict[str, dict[str, Any]] = {"meta_acon": {"channels": 3}}
#: Other parameters than the defaults, known to module and curve alike.
OTHER: dict[str, dict[str, Any]] = {
    "sigmoid": {"slope": 3.0},
    "leaky_relu": {"negative_slope": 0.3},
    "prelu": {"init": 0.1},
    "elu": {"alpha": 0.7},
    "swish": {"beta": 2.5},
    "gelu": {"approximate": "tanh"},
    "acon_c": {"p1": 1.3, "p2": -0.4, "beta": 2.0},
    "softplus": {"beta": 1.5},
    "hardtanh": {"min_val": -0.5, "max_val": 2.0},
    "tailored_sigmoid": {"depth": 20, "curvature": 0.2},
    "tailored_tanh": {"depth": 20, "curvature": 0.2},
    "tailored_leaky_relu": {"depth": 100, "similarity": 0.8},
}
CURVES = [
    pytest.param(name, given, id=f"{name}-{'-'.join(map(str, given.values())) or 'default'}")
    for name, a in ACTIVATIONS.items()
    if a.f is not None
    for given in ({}, *([OTHER[name]] if name in OTHER else []))
]
OURS = ["swish", "acon_c", "meta_acon", "tailored_sigmoid", "tailored_tanh", "tailored_leaky_relu"]


def module(name: str, **given: Any) -> nn.Module:
    torch.set_default_dtype(torch.float64)  # parameters of 0.1 are float64's 0.1
    try:
        return activations.get(name, **NEEDED.get(name, {}), **given)
    finally:
        torch.set_default_dtype(torch.float32)


def away_from_kinks(kinks: tuple[float, ...]) -> np.ndarray:
    x = np.concatenate([np.linspace(-12, 12, 493), np.geomspace(1e-4, 1, 20)])
    return x[np.all(np.abs(x[:, None] - np.array([*kinks, np.inf])) > 1e-4, axis=1)]


def test_other_parameters_cover_every_one_there_is() -> None:
    for name, a in ACTIVATIONS.items():
        assert set(OTHER.get(name, {})) == set(a.parameters), name


@pytest.mark.parametrize(("name", "given"), CURVES)
def test_the_curve_is_the_module(name: str, given: dict[str, Any]) -> None:
    """f and f' in NumPy against torch's forward and backward in float64, kinks included."""
    curve = activations.curve(name, **given)
    x = np.concatenate([np.linspace(-12, 12, 501), curve.kinks])
    z = torch.tensor(x, requires_grad=True)
    out = module(name, **given)(z)
    (slope,) = torch.autograd.grad(out.sum(), z)
    # softplus: torch turns linear past its threshold
    assert np.allclose(curve.f(x), out.detach().numpy(), rtol=1e-9, atol=1e-8)
    assert np.allclose(curve.df(x), slope.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("name", "given"), CURVES)
def test_the_derivative_is_that_of_f(name: str, given: dict[str, Any]) -> None:
    """Central differences in float64, away from kinks."""
    curve = activations.curve(name, **given)
    x, h = away_from_kinks(curve.kinks), 1e-5
    by_hand = (curve.f(x + h) - curve.f(x - h)) / (2 * h)
    assert np.allclose(curve.df(x), by_hand, rtol=1e-7, atol=2e-9)


@pytest.mark.parametrize(("name", "given"), CURVES)
def test_kinks_are_where_the_derivative_jumps(name: str, given: dict[str, Any]) -> None:
    """f' is Lipschitz everywhere else: no step of 1e-4 moves it by more than a smooth one can."""
    curve = activations.curve(name, **given)
    x = np.linspace(-6, 6, 120_001)
    steps = np.abs(np.diff(curve.df(x)))
    jumps = x[:-1][steps > 5e-3]
    assert all(min(abs(j - k) for k in curve.kinks) < 2e-4 for j in jumps)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_gradients_and_double_backward(name: str) -> None:
    """With respect to the input and to every trainable parameter."""
    torch.manual_seed(0)
    net = module(name, **({"num_parameters": 3} if name in ("swish", "acon_c", "prelu") else {}))
    x = torch.randn(4, 3, 2, dtype=torch.float64) * 2
    x = torch.where((x.abs() < 0.05) | ((x.abs() - 1).abs() < 0.05), x + 0.2, x)  # no kink
    keys = [key for key, _ in net.named_parameters()]

    def call(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return functional_call(net, dict(zip(keys, values, strict=True)), (x,))

    inputs = (x, *(p.detach().clone() for p in net.parameters()))
    inputs = tuple(t.requires_grad_() for t in inputs)
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("name", [*OURS, "sigmoid"])
def test_compiled_without_a_graph_break(name: str) -> None:
    """Forward and backward, traced as one graph; Inductor's own code is in the slow twin."""
    _compiled(name, "aot_eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, inside Inductor
@pytest.mark.parametrize("name", [*OURS, "sigmoid"])
def test_compiled_by_inductor(name: str) -> None:
    _compiled(name, "inductor")


def _compiled(name: str, backend: str) -> None:
    torch.manual_seed(0)
    given = {"slope": 2.0} if name == "sigmoid" else {}
    net = activations.get(name, **NEEDED.get(name, {}), **given)
    torch._dynamo.reset()
    fast = torch.compile(net, fullgraph=True, backend=backend)
    x = torch.randn(5, 3, 4, requires_grad=True)
    results = []
    for run in (net, fast):
        out = run(x)
        results.append((out, *torch.autograd.grad((out**2).sum(), [x, *net.parameters()])))
    for plain, compiled in zip(*results, strict=True):
        assert torch.allclose(plain, compiled, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_records_are_whole(name: str) -> None:
    a = ACTIVATIONS[name]
    assert a.name == name and a.title and a.formula and a.source
    assert (a.f is None) == (a.df is None)
    net = activations.get(name, **NEEDED.get(name, {}))
    assert net.__doc__ and repr(net)
    x = torch.randn(6, 3, 5)
    assert net(x).shape == x.shape


def test_torch_has_the_first_say() -> None:
    for name, kind in (
        ("sigmoid", nn.Sigmoid),
        ("tanh", nn.Tanh),
        ("prelu", nn.PReLU),
        ("gelu", nn.GELU),
        ("mish", nn.Mish),
    ):
        assert type(activations.get(name)) is kind


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("LeakyReLU", "leaky_relu"),
        ("acon-c", "acon_c"),
        ("Meta ACON", "meta_acon"),
        ("TAT", "tailored_leaky_relu"),
        ("SiLU", "silu"),
    ],
)
def test_names_are_forgiving(said: str, meant: str) -> None:
    assert activations.find(said).name == meant


def test_names_and_aliases_are_one_each() -> None:
    plain = [key.replace("_", "") for a in ACTIVATIONS.values() for key in (a.name, *a.aliases)]
    assert len(plain) == len(set(plain))
    assert activations.names() == tuple(ACTIVATIONS)


def test_wrong_names_and_parameters_say_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no activation 'sigmod'; did you mean sigmoid"):
        activations.get("sigmod")
    with pytest.raises(ValueError, match=r"no activation 'xyz'; there are sigmoid, tanh"):
        activations.find("xyz")
    with pytest.raises(ValueError, match=r"tanh has no parameter 'slope'; it takes none"):
        activations.get("tanh", slope=2)
    with pytest.raises(ValueError, match=r"elu has no parameter 'beta'; it takes alpha\."):
        activations.curve("elu", beta=2)
    with pytest.raises(ValueError, match=r"meta_acon must be told channels"):
        activations.get("meta_acon")
    with pytest.raises(ValueError, match=r"meta_acon has no curve"):
        activations.curve("meta_acon")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("sigmoid", {"slope": 0}, r"slope = 0"),
        ("swish", {"num_parameters": 0}, r"num_parameters = 0"),
        ("meta_acon", {"channels": 0}, r"channels = 0"),
        ("tailored_tanh", {"depth": 0}, r"depth = 0"),
        ("tailored_tanh", {"curvature": -1.0}, r"curvature = -1\.0"),
        ("tailored_leaky_relu", {"similarity": 1.0}, r"similarity = 1\.0"),
        ("tailored_sigmoid", {"depth": 1, "curvature": 500.0}, r"lower curvature"),
    ],
)
def test_wrong_values_are_repeated(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        activations.get(name, **given)


def test_wrong_shapes_are_repeated() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5\) has 5 channels.* made for 4"):
        activations.get("swish", num_parameters=4)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"shape \(3,\).*\(batch, 3"):
        activations.get("meta_acon", channels=3)(torch.zeros(3))


def test_public_names() -> None:
    for name in activations.__all__:
        assert getattr(activations, name) is not None
    assert not set(activations.__all__) & {"meanfield", "atlas", "registry"}
    with pytest.raises(AttributeError, match="no_such"):
        activations.no_such  # noqa: B018


# -- limits and identities ------------------------------------------------------------------------
X = np.linspace(-20, 20, 4001)


def test_swish_goes_from_half_the_identity_to_relu() -> None:
    """β → 0 is x/2 with error ≤ β x²/4; β → ∞ is ReLU with error ≤ 0.2785/β."""
    for beta in (1e-2, 1e-4, 1e-6):
        off = np.abs(activations.curve("swish", beta=beta).f(X) - X / 2)
        assert np.all(off <= beta * X**2 / 4 + 1e-14)
    for beta in (10.0, 1e3, 1e6):
        off = np.abs(activations.curve("swish", beta=beta).f(X) - np.maximum(X, 0))
        assert off.max() <= 0.27847 / beta
    assert np.array_equal(activations.curve("swish").f(X), activations.curve("silu").f(X))
    assert np.allclose(
        activations.curve("swish", beta=1.702).f(X), activations.curve("gelu").f(X), atol=0.021
    )


def test_acon_c_is_swish_a_line_or_a_maximum() -> None:
    swish = activations.curve("swish", beta=1.7)
    same = activations.curve("acon_c", p1=1.0, p2=0.0, beta=1.7)
    assert np.array_equal(swish.f(X), same.f(X))
    net = activations.get("acon_c", p1=1.0, p2=0.0, beta=1.7)
    torch.testing.assert_close(net(torch.tensor(X)), torch.tensor(swish.f(X)), rtol=1e-6, atol=1e-6)
    line = activations.curve("acon_c", p1=1.4, p2=-0.2, beta=0.0)
    assert np.allclose(line.f(X), 0.6 * X)
    largest = activations.curve("acon_c", p1=1.4, p2=-0.2, beta=1e6)
    assert np.allclose(largest.f(X), np.maximum(1.4 * X, -0.2 * X), atol=1e-6)


def test_meta_acon_is_acon_c_at_the_beta_it_chose() -> None:
    torch.manual_seed(0)
    net = activations.get("meta_acon", channels=32, reduction=8)
    x = torch.randn(4, 32, 6, 5) + 3 * torch.randn(4, 32, 1, 1)
    beta = torch.sigmoid(x.mean((2, 3)) @ net.squeeze.weight.T @ net.excite.weight.T)
    assert beta.std() > 0.05
    got = net(x)
    for b in range(4):
        for c in (0, 17, 31):
            curve = activations.curve("acon_c", beta=float(beta[b, c].detach()))
            assert np.allclose(curve.f(x[b, c].numpy()), got[b, c].detach().numpy(), atol=1e-6)
    assert net(x[:, :, 0, 0]).shape == (4, 32)


def test_channels_are_dim_1_as_in_prelu() -> None:
    net = activations.get("swish", num_parameters=3)
    with torch.no_grad():
        net.beta.copy_(torch.tensor([0.0, 1.0, 50.0]))
    x = torch.randn(2, 3, 7)
    out = net(x)
    torch.testing.assert_close(out[:, 0], x[:, 0] / 2)
    torch.testing.assert_close(out[:, 1], nn.functional.silu(x[:, 1]))
    assert (out[:, 2] - x[:, 2].relu()).abs().max() < 0.006


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """Klambauer 2017: (0, 1) is a fixed point, and attracts both variance and mean."""
    from evenflow.activations.meanfield import expect

    f = activations.curve("selu").f
    assert expect(f, 1.0, kinks=(0,)) == pytest.approx(0.0, abs=1e-12)
    assert expect(lambda x: f(x) ** 2, 1.0, kinks=(0,)) == pytest.approx(1.0, abs=1e-12)
    # LeCun-normal layers: the mean is lost in the weights' zero mean, the second moment moves on
    q = 1.5
    for _ in range(200):
        q = expect(lambda x: f(x) ** 2, q, kinks=(0,))
    assert q == pytest.approx(1.0, abs=1e-9)


def test_softplus_and_sigmoid_approach_their_hard_forms() -> None:
    soft = activations.curve("softplus", beta=1e4)
    assert np.allclose(soft.f(X), np.maximum(X, 0), atol=math.log(2) / 1e4 + 1e-12)
    steep = activations.curve("sigmoid", slope=1e4)
    off = np.abs(X) > 1e-2
    assert np.allclose(steep.f(X)[off], X[off] > 0, atol=1e-12)
    assert np.allclose(2 * activations.curve("sigmoid", slope=2).f(X) - 1, np.tanh(X))
