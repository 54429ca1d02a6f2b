"""The loss side of judging, on real recorded runs: shapes, guessing, updates, way to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import View
from evenflow.schema import Finding, Run, verdict

Loss = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[[Callable[[], None]], Run]]:
    """Watches a training and gives its run."""

    def recorded(train: Callable[[], None]) -> Run:
        torch.manual_seed(0)
        with evenflow.watch(run=tmp_path / "run.evenflow") as watch:
            train()
        return evenflow.load(watch.path)

    yield recorded


def codes(run: Run) -> dict[str, Finding]:
    return {f.code: f for f in reversed(evenflow.diagnose(run))}


# --- EF803 and EF701: the shapes that the loss saw ------------------------------------------------

SAME: dict[str, Callable[[Tensor], Tensor]] = {
    "squeeze": lambda p: p.squeeze(1),
    "squeeze-all": lambda p: p.squeeze(),
    "view": lambda p: p.view(-1),
    "reshape": lambda p: p.reshape(-1),
    "flatten": lambda p: p.flatten(),
    "index": lambda p: p[:, 0],
    "select": lambda p: p.select(1, 0),
}
LOSSES: dict[str, Loss] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "by-hand": lambda p, y: ((p - y) ** 2).mean(),
}


def regression(shape: Callable[[Tensor], Tensor], loss: Loss, steps: int = 60) -> None:
    net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        x = torch.randn(32, 4)
        optimizer.zero_grad()
        loss(shape(net(x)), x[:, 0] + x[:, 1]).backward()
        optimizer.step()


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_table_of_all_pairs(record: Callable[..., Run], loss: Loss) -> None:
    run = record(lambda: regression(lambda p: p, loss))
    found = codes(run)
    f = found["EF803"]
    assert f.severity.name == "error" and f.evidence["comparisons"] == 32 * 32
    assert f.threshold["comparisons"] == 32 and "EF701" not in found
    assert evenflow.diagnose(run)[0].code == "EF803"
    assert "shapes broadcast" in evenflow.diagnose(run)[0].message


@pytest.mark.parametrize("shape", SAME.values(), ids=SAME)
def test_shapes_that_agree_at_the_loss(
    record: Callable[..., Run], shape: Callable[[Tensor], Tensor]
) -> None:
    assert evenflow.diagnose(record(lambda: regression(shape, F.mse_loss))) == []


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_other_losses_on_shapes_that_agree(record: Callable[..., Run], loss: Loss) -> None:
    run = record(lambda: regression(lambda p: p[:, 0], loss))
    assert not {"EF803", "EF701"} & codes(run).keys()


def test_a_table_asked_for_is_no_accident(record: Callable[..., Run]) -> None:
    """Quantiles: axes put in on both sides; and distances between a batch's own outputs."""

    def train() -> None:
        net = nn.Linear(4, 5)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
        for _ in range(5):
            x, y = torch.randn(16, 4), torch.randn(16, 5)
            out = net(x)
            pairs = F.smooth_l1_loss(out[:, None].expand(16, 5, 5), y[:, :, None].expand(16, 5, 5))
            own = (out[:, :1] - out[:, 0]).abs().mean()
            optimizer.zero_grad()
            (pairs + own).backward()
            optimizer.step()

    assert "EF803" not in codes(record(train))


def test_relu_on_the_output_and_negative_targets(record: Callable[..., Run]) -> None:
    """The share of negative targets is recorded, so that the check can fire."""

    def train(end: nn.Module) -> None:
        net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1), end)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        for _ in range(60):
            x = torch.randn(32, 4)
            optimizer.zero_grad()
            F.mse_loss(net(x).squeeze(1), x[:, 0]).backward()
            optimizer.step()

    sick = codes(record(lambda: train(nn.ReLU())))["EF701"]
    assert sick.severity.name == "error"
    assert 0.3 < sick.evidence["target_negative"] < 0.7
    assert evenflow.diagnose(record(lambda: train(nn.Identity()))) == []


# --- what guessing costs --------------------------------------------------------------------------


def classes(
    sizes: list[int], labels: str = "own", steps: int = 90, shape: str = "rows", rate: float = 3e-3
) -> None:
    """A classifier on batches of these sizes in turn."""
    x, net = torch.randn(256, 8), nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    y = x[:, :4].argmax(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for i in range(steps):
        b = torch.randint(256, (sizes[i % len(sizes)] * 6,))
        out, t = net(x[b]), y[b] if labels == "own" else torch.randint(4, (len(b),))
        if shape == "turned":  # [B, T, K] and [B, T]: a view where a transpose was meant
            out, t = out.view(-1, 6, 4).view(-1, 4, 6), t.view(-1, 6)
        elif shape == "transposed":
            out, t = out.view(-1, 6, 4).transpose(1, 2), t.view(-1, 6)
        optimizer.zero_grad()
        F.cross_entropy(out, t).backward()
        optimizer.step()


def test_a_small_batch_does_not_hide_what_guessing_costs(record: Callable[..., Run]) -> None:
    """The last batch of an epoch is short, so each of its elements moves the loss more."""
    run = record(lambda: classes([16, 16, 1], "apart", steps=240, rate=3e-2))
    assert View(run).loss.chance == pytest.approx(np.log(4))
    assert verdict(evenflow.diagnose(run), run) == "sick" and "EF401" in codes(run)
    assert evenflow.diagnose(record(lambda: classes([16, 16, 1]))) == []


def test_a_view_for_a_transpose(record: Callable[..., Run]) -> None:
    run = record(lambda: classes([16, 2], shape="turned", steps=240))
    assert View(run).loss.chance == pytest.approx(np.log(4))
    assert "EF401" in codes(run)
    twin = record(lambda: classes([16, 2], shape="transposed"))
    assert View(twin).loss.chance == pytest.approx(np.log(4))
    assert evenflow.diagnose(twin) == []


def test_a_sum_has_another_scale(record: Callable[..., Run]) -> None:
    def train() -> None:
        net = nn.Linear(8, 4)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
        for _ in range(6):
            x = torch.randn(32, 8)
            optimizer.zero_grad()
            F.cross_entropy(net(x), x[:, :4].argmax(1), reduction="sum").backward()
            optimizer.step()

    assert np.isnan(View(record(train)).loss.chance)


@pytest.mark.parametrize(
    "parts, weight, of_guessing",
    [(1, 1, 1), (8, 1, 8), (8, 1 / 8, 1), (1, 10, 10), (1, 0.3, 0.3), (4, 0.5, 2)],
)
def test_guessing_costs_as_many_times_more_as_is_added_up(
    parts: int, weight: float, of_guessing: float, record: Callable[..., Run]
) -> None:
    """Micro-batches that were not divided by their number, a loss with a weight on it."""

    def train(penalty: float = 0.0) -> None:
        net = nn.Linear(8, 4)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
        for _ in range(6):
            optimizer.zero_grad()
            for x in torch.randn(32, 8).chunk(parts):
                loss = weight * F.cross_entropy(net(x), x[:, :4].argmax(1))
                (loss + penalty * net.weight.square().sum()).backward()
            optimizer.step()

    assert View(record(train)).loss.chance == pytest.approx(of_guessing * np.log(4))
    # what something else was added to is known only where that is small
    assert np.isnan(View(record(lambda: train(penalty=5 * weight))).loss.chance)


# --- EF802: nothing is updated --------------------------------------------------------------------


def loop(kind: str, steps: int) -> None:
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    rate = 0.0 if kind == "rate" else 1e-2
    optimizer = torch.optim.Adam(net.parameters(), lr=rate) if kind != "none" else None
    for _ in range(steps):
        x = torch.randn(32, 8)
        net.zero_grad()
        F.cross_entropy(net(x), x[:, :4].argmax(1)).backward()
        if kind == "cleared":
            net.zero_grad()
        if optimizer is not None and kind != "never":
            optimizer.step()


@pytest.mark.parametrize(
    ("kind", "steps", "cause"),
    [
        ("never", 10, "no-step"),
        ("never", 300, "no-step"),  # past the patience of the session
        ("cleared", 20, "gradients-cleared"),
        ("rate", 20, "learning-rate-zero"),
    ],
)
def test_nothing_is_updated(record: Callable[..., Run], kind: str, steps: int, cause: str) -> None:
    run = record(lambda: loop(kind, steps))
    findings = evenflow.diagnose(run)
    assert findings[0].code == "EF802" and findings[0].cause == cause
    assert verdict(findings, run) == "sick"
    # each backward's loss stands for itself: none is the sum of many
    assert len(run.curve_loss) == steps and run.curve_loss.max() < 2.5
    assert np.nanmax(View(run).step("loss")) < 2.5


def test_updates_are_told_from_none(record: Callable[..., Run]) -> None:
    assert "EF802" not in codes(record(lambda: loop("right", 20)))


def test_micro_batches_before_the_first_step_are_one_step(record: Callable[..., Run]) -> None:
    def train() -> None:
        net = nn.Linear(8, 4)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i in range(32):
            x = torch.randn(8, 8)
            (F.cross_entropy(net(x), x[:, :4].argmax(1)) / 4).backward()
            if i % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()

    run = record(train)
    assert len(run.curve_loss) == 8 and 0.5 < run.curve_loss[0] < 3 and not codes(run)


def test_who_moves_nothing_without_an_optimizer_is_not_judged(record: Callable[..., Run]) -> None:
    """Gradients alone, for a map of saliency say: no fault, and no claim of health."""
    run = record(lambda: loop("none", 20))
    findings = [f for f in evenflow.diagnose(run) if f.severity.name == "error"]
    assert findings == [] and run.unjudged == "not-moved"
    assert verdict(evenflow.diagnose(run), run) == "unjudged"


# --- EF704 and EF807: three faults, three pieces of advice ----------------------------------------


class Net(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 4)
        self.plain = [nn.Linear(16, 16)]
        if kind not in ("anew", "list"):
            self.middle = self.plain[0]

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        if self.kind == "no_grad":
            with torch.no_grad():
                h = torch.relu(self.middle(h))
            return self.last(h)
        if self.kind == "argmax":
            return self.last(F.one_hot(self.middle(h).argmax(1), 16).float())
        layer = nn.Linear(16, 16) if self.kind == "anew" else self.plain[0]
        h = torch.relu(layer(h))
        return self.last(h.detach() if self.kind == "detach" else h)


@pytest.mark.parametrize(
    ("kind", "code", "cause", "advice"),
    [
        ("list", "EF704", "in-no-optimizer", "Give the optimizer all parameters"),
        ("anew", "EF704", "made-anew", "Build the layer once"),
        ("detach", "EF807", "cut-off", "Follow the layer's output"),
        ("no_grad", "EF807", "cut-off", "Follow the layer's output"),
        ("argmax", "EF807", "cut-off", "Follow the layer's output"),
        ("right", "", "", ""),
    ],
)
def test_three_faults_of_one_kind(
    record: Callable[..., Run], kind: str, code: str, cause: str, advice: str
) -> None:
    def train() -> None:
        net = Net(kind)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        for _ in range(20):
            x = torch.randn(32, 8)
            optimizer.zero_grad()
            F.cross_entropy(net(x), x[:, :4].argmax(1)).backward()
            optimizer.step()

    findings = evenflow.diagnose(record(train))
    if not code:
        assert findings == []
        return
    (f,) = findings
    assert (f.code, f.cause) == (code, cause)
    from evenflow.words import advice as told

    assert told(f)[0].startswith(advice)


# --- EF401: an error needs evidence that the loss will not move -----------------------------------


def setting_off(steps: int, labels: str = "own") -> None:
    """A network that needs a hundred steps to come off the loss of guessing."""
    net = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    true = torch.randn(64, 10)
    for _ in range(steps):
        x = torch.randn(32, 64)
        y = (x @ true).argmax(1) if labels == "own" else torch.randint(10, (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("steps", [40, 100, 300])
def test_a_slow_start_is_no_error(record: Callable[..., Run], steps: int) -> None:
    run = record(lambda: setting_off(steps))
    assert verdict(evenflow.diagnose(run), run) == "healthy"


def test_a_loss_that_never_moves_is_one(record: Callable[..., Run]) -> None:
    run = record(lambda: setting_off(400, "apart"))
    assert codes(run)["EF401"].severity.name == "error"


@pytest.mark.parametrize("replaced", [(0,), (0, 2)], ids=["head", "all"])
def test_layers_replaced_after_the_optimizer_was_built(
    record: Callable[..., Run], replaced: tuple[int, ...]
) -> None:
    """The optimizer goes on with the old ones, which the loss does not use."""

    def train(sick: bool) -> None:
        net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for i in [2 - i for i in replaced]:
            net[i] = nn.Linear(net[i].in_features, net[i].out_features)
        if not sick:
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(60):
            x = torch.randn(32, 8)
            loss = F.cross_entropy(net(x), x[:, :3].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    sick = evenflow.diagnose(record(lambda: train(True)))
    assert sick[0].code == "EF704" and sick[0].cause == "in-no-optimizer"
    assert verdict(sick) != "healthy"
    assert verdict(sick) == "sick" or len(replaced) == 1
    assert verdict(evenflow.diagnose(record(lambda: train(False)))) == "healthy"
