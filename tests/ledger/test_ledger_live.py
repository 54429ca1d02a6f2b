"""explain() leaves no trace, names what it finds, and says what is wrong with a wrong loss."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import evenflow
from evenflow.ledger import Block

from .architectures import NETWORKS


@pytest.mark.parametrize("name", ["convolution", "gpt_tied", "lstm_fused", "gan"])
def test_nothing_is_touched(name: str) -> None:
    """The same training with and without it: weights and random state to the bit."""

    def train(ask: bool) -> list[Tensor]:
        loss, model = NETWORKS[name]()
        for p in model.parameters():
            p.grad = torch.ones_like(p)  # gradients from before stay
        state = torch.get_rng_state()
        if ask:
            evenflow.explain(loss, model)
            evenflow.explain(loss, model)  # and it can be asked again
        assert torch.equal(state, torch.get_rng_state())
        assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
        loss.backward()
        return [p.grad for p in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(train(True), train(False), strict=True))


def test_kept_gradients_of_tensors_are_not_doubled() -> None:
    x = torch.randn(3, 4)
    layer = nn.Linear(4, 4)
    h = layer(x)
    h.retain_grad()
    loss = torch.tanh(h).sum()
    evenflow.explain(loss, layer)
    assert h.grad is None
    loss.backward(retain_graph=True)
    first = h.grad.clone()
    evenflow.explain(loss, layer)
    assert torch.equal(h.grad, first)


def test_hooks_and_graph_are_let_go() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    loss = model(torch.randn(3, 4)).square().mean()
    out = loss.grad_fn.next_functions[0][0]
    gone = weakref.ref(loss)
    ledger = evenflow.explain(loss, model)
    fired = []
    out.register_hook(lambda a, b: fired.append(1))
    loss.backward()
    assert fired == [1]
    del loss, ledger, out
    gc.collect()
    assert gone() is None


def test_a_watch_neither_counts_nor_reads_it(tmp_path: Any) -> None:
    def train(ask: bool, path: Any) -> evenflow.Run:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with evenflow.watch(model, optimizer, every=1, run=path):
            for _ in range(3):
                optimizer.zero_grad()
                loss = model(torch.randn(3, 4)).square().mean()
                if ask:
                    evenflow.explain(loss, model).parameter("0.weight", (0, 0))
                loss.backward()
                optimizer.step()
        return evenflow.load(path)

    bare, asked = train(False, tmp_path / "a.evenflow"), train(True, tmp_path / "b.evenflow")
    assert bare.sites == asked.sites
    assert bare.steps.tolist() == asked.steps.tolist() == [0, 1, 2]
    timed = ("wall", "bare", "cost", "spent", "trained")
    assert set(bare.columns) == set(asked.columns)
    for channel, column in bare.columns.items():
        if channel.of != "step" or channel.metric not in timed:
            assert column.tolist() == pytest.approx(asked.columns[channel].tolist(), nan_ok=True)


def names(ledger: evenflow.Ledger) -> list[str]:
    return [link.name for link in ledger.links]


def test_ops_are_named_after_the_layer_before_them() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Tanh(), nn.Tanh())
    loss = F.mse_loss(model(torch.randn(3, 4)), torch.zeros(3, 4))
    ledger = evenflow.explain(loss, model)
    assert names(ledger) == ["loss → mse_loss", "2 → tanh #1", "2 → tanh", "2", "0 → sigmoid"]
    assert ledger.site == "0"


def test_in_a_sampled_step_ops_have_the_tapes_names(tmp_path: Any) -> None:
    """Also where one torch function makes several nodes (a linear layer on [B, T, n])."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(model, optimizer, every=1, run=tmp_path / "run.evenflow"):
        flat = evenflow.explain(model(torch.randn(3, 4)).square().mean(), model)
        wide = evenflow.explain(model(torch.randn(3, 5, 4)).square().mean(), model, site="0")
    assert names(flat) == ["mean", "square", "2 linear", "1 sigmoid"]
    assert flat.site == "0 linear"
    assert [c.links for c in wide.contributions if c.op == "linear"] == [1]
    assert wide.gain == pytest.approx(sum(link.gain for link in wide.links))


def test_without_a_model_ops_are_counted() -> None:
    a, b = nn.Linear(4, 4), nn.Linear(4, 2)
    ledger = evenflow.explain(b(torch.relu(a(torch.randn(3, 4)))).sum())
    assert names(ledger) == ["loss → sum", "linear#1", "linear → relu"]
    assert ledger.site == "linear"


def test_calls_of_a_cell_are_numbered_and_told_over_time() -> None:
    loss, model = NETWORKS["rnn_unrolled"]()
    ledger = evenflow.explain(loss, model)
    assert "h @5" in names(ledger) and "h @1" in names(ledger)
    assert [call for call, _ in ledger.time] == [4, 3, 2, 1, 0]
    assert "through time, from call 4 of the same weights back to call 0" in str(ledger)


@pytest.mark.parametrize("name", ["rnn_unrolled", "lstm_unrolled"])
def test_the_error_through_time_is_that_of_the_state(name: str) -> None:
    """Held against autograd.grad of the loss by the states h_t (and c_t) themselves."""
    loss, model = NETWORKS[name]()
    ledger = evenflow.explain(loss, model)
    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(3, 4) if "lstm" in name else torch.nn.RNNCell(3, 4)
    h = c = torch.zeros(2, 4)
    states = []
    for _ in range(5):
        x = torch.randn(2, 3)
        if "lstm" in name:
            h, c = cell(x, (h, c))
            states.append((h, c))
        else:
            h = cell(x, h)
            states.append((h,))
    loss = h.square().sum()
    found = dict(evenflow.explain(loss, cell).time)
    for t in range(4):
        grads = torch.autograd.grad(loss, states[t], retain_graph=True)
        # c_t's own gradient counts what h_t sends it; what later calls send is the rest.
        later = [grads[0]]
        if "lstm" in name:
            (through,) = torch.autograd.grad(
                states[t][0], states[t][1], grads[0], retain_graph=True
            )
            later.append(grads[1] - through)
        size = float(torch.cat([g.flatten() for g in later]).double().norm())
        assert found[t] == pytest.approx(size, rel=1e-5)
    assert ledger.time


def test_one_fused_layer_says_that_it_is_opaque() -> None:
    loss, model = NETWORKS["lstm_fused"]()
    assert "opaque inside" in evenflow.explain(loss, model, site="embed").notes[0]


def test_a_tensor_hook_is_a_factor_of_its_own() -> None:
    a, b = nn.Linear(4, 4), nn.Linear(4, 2)
    h = torch.tanh(a(torch.randn(3, 4)))
    h.register_hook(lambda g: g * 10)
    ledger = evenflow.explain(b(h).sum(), nn.Sequential(a, b))
    (hook,) = [link for link in ledger.links if link.op == "hook"]
    assert hook.gain == pytest.approx(1.0)
    assert sum(link.gain for link in ledger.links) == pytest.approx(ledger.gain)


def test_scale_and_alignment_of_an_isotropic_error() -> None:
    """An orthogonal W has no alignment with anything; a rank-one W all of it or none."""
    torch.manual_seed(0)
    model = nn.Linear(6, 6, bias=False)
    nn.init.orthogonal_(model.weight)
    x = torch.randn(5, 6, requires_grad=True)
    ledger = evenflow.explain(model(x).square().sum(), model, site=x)
    linear = ledger.links[-1]
    assert linear.parts["scale"] == pytest.approx(0.0, abs=1e-6)
    assert linear.parts["alignment"] == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        model.weight.zero_()[:, 0] = 2.0
    linear = evenflow.explain((model(x) * 3).sum(), model, site=x).links[-1]
    assert linear.parts["scale"] == pytest.approx(torch.tensor(2.0).log10().item(), abs=1e-6)
    # every unit's error is the same, along W's only direction: the gain is ‖W‖_2 = 2√6
    assert linear.gain == pytest.approx(torch.tensor(24.0).sqrt().log10().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("conv", "shape"),
    [
        (nn.Conv2d(3, 5, 3), (4, 3, 30, 30)),
        (nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 4, 30, 30)),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), (4, 3, 15, 15)),
    ],
    ids=["plain", "grouped", "transposed"],
)
def test_scale_of_a_convolution_is_what_a_random_error_gains(
    conv: nn.Module, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    out = conv(x)
    loss = (out * torch.randn(out.shape)).sum()
    factor = evenflow.explain(loss, conv, site=x).links[-1]
    assert factor.kind == "affine"
    assert abs(factor.parts["alignment"]) < 0.03


def test_elasticity_of_a_weight_is_not_changed_by_rescaling() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 4)
    before = evenflow.explain(model(x).square().mean(), model)
    with torch.no_grad():
        model[0].weight *= 10
        model[0].bias *= 10
        model[2].weight /= 10
    after = evenflow.explain(model(x).square().mean(), model)
    assert before.links[2].weight_elasticity == pytest.approx(
        after.links[2].weight_elasticity, rel=0.2  # its bias was not rescaled with it
    )  # fmt: skip
    assert before.links[2].gain == pytest.approx(after.links[2].gain + 1, abs=1e-5)


def test_plain_checkpointing_is_seen_through() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    model = nn.Sequential(nn.Linear(4, 4), inner, nn.Linear(4, 2))
    x = torch.randn(3, 4)
    h = checkpoint(inner, model[0](x), use_reentrant=False)
    loss = model[2](h).sum()
    ledger = evenflow.explain(loss, model)
    plain = evenflow.explain(model(x).sum(), model)
    assert ledger.gain == pytest.approx(plain.gain)
    loss.backward()  # and torch's own count of unpacked tensors still holds


def reentrant() -> Any:
    layer = nn.Linear(4, 4)
    return checkpoint(layer, torch.randn(3, 4, requires_grad=True), use_reentrant=True).sum()


def freed() -> Tensor:
    loss = torch.tanh(nn.Linear(4, 4)(torch.randn(3, 4))).sum()
    loss.backward()
    return loss


def without_grad() -> Tensor:
    with torch.no_grad():
        return nn.Linear(4, 4)(torch.randn(3, 4)).sum()


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a dict": (
        lambda: {"loss": torch.ones(()), "logits": 1},
        "a dict with keys ['loss', 'logits']; pass the loss",
    ),
    "none": (lambda: None, "wants the loss, a scalar tensor; this is a NoneType."),
    "a float": (lambda: 0.3, "this is a float."),
    "a tuple": (lambda: (torch.ones(()),), "this is a tuple; pass its element"),
    "no scalar": (
        lambda: nn.Linear(4, 4)(torch.randn(3, 4)),
        "this one has shape (3, 4). Reduce it",
    ),
    "freed": (freed, "backward() has run already. Call explain() after the forward"),
    "no graph": (without_grad, "has no graph: it was computed under torch.no_grad()"),
    "a leaf": (lambda: torch.ones((), requires_grad=True), "has no graph: it is itself a leaf"),
    "reentrant": (reentrant, "use_reentrant=False"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_losses_are_told_apart(case: str) -> None:
    make, said = WRONG[case]
    with pytest.raises(ValueError) as caught:
        evenflow.explain(make())
    assert said in str(caught.value)


def test_wrong_sites_get_near_matches() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2))
    loss = model(torch.randn(3, 4)).sum()
    for site, said in (
        ("0 → sigmod", "is called '0 → sigmod': did you mean '0 → sigmoid'?"),
        (torch.ones(3), "the tensor given as site, of shape (3,), is no part"),
    ):
        with pytest.raises(ValueError) as caught:
            evenflow.explain(loss, model, site)
        assert said in str(caught.value)
    with pytest.raises(ValueError, match="the model's parameters are no part of this loss's graph"):
        evenflow.explain(loss, nn.Linear(3, 3))


def test_an_error_that_vanishes_or_is_not_finite_is_said_to() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    said = str(evenflow.explain(model(torch.randn(3, 4)).sum(), model))
    assert "Nothing arrives" in said and "exactly zero, at 0 → relu" in said
    loss = model(torch.randn(3, 4)).sum() * float("inf")
    assert "not finite from loss → mul on" in str(evenflow.explain(loss, model, site="2"))


def test_a_block_names_both_ends() -> None:
    loss, model = NETWORKS["resnet_post"]()
    blocks = [link for link in evenflow.explain(loss, model).links if isinstance(link, Block)]
    assert len(blocks) == 3
    assert blocks[-1].towards == "0"
    assert {b.name for b in blocks[-1].forks[-1].branches} == {"1.inner.0", "1.inner.4 → add"}
