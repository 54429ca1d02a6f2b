"""Heal mends what is planted, says so truthfully, and leaves everything else as it is."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Intervention, interventions
from networks import KINDS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "healing"))
import dying
import outliers
import rate


def healed(path: Path) -> list[Intervention]:
    return interventions(evenflow.load(path).events)


def under(path: Path, heal: Any, train: Callable[[], Any], **options: Any) -> Any:
    with evenflow.watch(run=path, heal=heal, **options) as watch:
        result = train()
        assert watch.active, "it has failed open"
        assert watch.path == path, "a path that was there is numbered: read what was written"
    return result


@pytest.mark.parametrize("name", KINDS)
def test_a_training_without_intervention_keeps_its_bits(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    bare = [t.detach().clone() for t in KINDS[name](60)]
    state = torch.get_rng_state()
    torch.manual_seed(7)
    path = tmp_path / "r.evenflow"
    got = under(path, True, lambda: [t.detach().clone() for t in KINDS[name](60)])
    assert healed(path) == []
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(bare, got, strict=True))
    said = capsys.readouterr().err
    assert ("heal leaves LBFGS alone" in said) == (name == "lbfgs") and "Trace" not in said


@pytest.mark.parametrize("kind", ["adam", "momentum", "batchnorm"])
def test_planted_accidents_are_healed_and_told_truthfully(kind: str, tmp_path: Path) -> None:
    """Accept 5 on one seed: benchmarks/heal.py has three, by the command."""
    steps, seed = 400, 1
    planted = {s: f for s, f in outliers.accidents(seed).items() if s < steps}
    assert sum(f == f and f < 1e9 for f in planted.values()) >= 3, "too few to tell"
    clean, _ = outliers.train(seed, False, kind, steps)
    bare, finite = outliers.train(seed, True, kind, steps)
    assert bare < 0.5 and not finite, "the accidents do no harm"
    path = tmp_path / "r.evenflow"
    accuracy, finite = under(path, True, lambda: outliers.train(seed, True, kind, steps))
    assert finite and accuracy >= clean - 0.01
    done = healed(path)
    assert sorted(d.attempt for d in done) == sorted(planted), "each planted step and no other"
    for d in done:
        infinite = not planted[d.attempt] < 1e9
        assert d.kind == ("skip" if infinite else "clip")
        (name, before), (_, after) = next(iter(d.before.items())), next(iter(d.after.items()))
        assert name in ("grad_norm", "moved") and not before < 1e3 and after < 10
        left_out = sum(e.kind == "skip" and e.attempt < d.attempt for e in done)
        assert d.step == d.attempt - left_out
    where = {d.attempt: d.site for d in done if d.kind == "skip"}
    assert any("input" in site for site in where.values()), "the infinite pixel is in the data"
    twin = tmp_path / "twin.evenflow"
    assert under(twin, True, lambda: outliers.train(seed, False, kind, steps))[0] == clean
    assert healed(twin) == []


@pytest.mark.parametrize("schedule", ["none", "lambda", "onecycle"])
def test_a_rate_too_high_is_rolled_back_and_backed_off(schedule: str, tmp_path: Path) -> None:
    bare, _ = rate.train(0, 10.0, schedule, 300)
    good, _ = rate.train(0, 0.1, schedule, 300)
    assert bare < 0.5 < good
    path = tmp_path / "r.evenflow"
    accuracy, finite = under(path, True, lambda: rate.train(0, 10.0, schedule, 300))
    assert finite and accuracy >= good - 0.05
    done = healed(path)
    slower = [d for d in done if d.kind == "lr"]
    assert slower and any(d.kind == "rollback" for d in done)
    for d in slower:
        assert 0 < d.after["factor"] < d.before["factor"] <= 1
        assert d.after["lr"] / d.before["lr"] == pytest.approx(
            d.after["factor"] / d.before["factor"]
        )
    twin = tmp_path / "twin.evenflow"
    assert under(twin, True, lambda: rate.train(0, 0.1, schedule, 300))[0] == good
    assert healed(twin) == []


def test_a_lowered_rate_is_a_factor_that_schedulers_never_see(tmp_path: Path) -> None:
    """LambdaLR overwrites the rate each step: the update is made with factor times its value."""
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    x, y = torch.randn(8, 2), torch.randn(8, 1)
    rates = []
    with evenflow.watch(run=tmp_path / "r.evenflow", heal="lr,rollback") as watch:
        for t in range(30):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            before = model.weight.detach().clone()
            optimizer.step()
            assert model.weight.grad is not None
            assert optimizer.param_groups[0]["lr"] == pytest.approx(1e3 / (1 + t)), (
                "the script's own rate"
            )
            moved = float((model.weight.detach() - before).norm() / model.weight.grad.norm())
            rates.append(moved / (1e3 / (1 + t)))
            scheduler.step()
    done = [d for d in healed(watch.path) if d.kind == "lr"]
    assert done, rates
    assert rates[-1] == pytest.approx(done[-1].after["factor"], rel=1e-3)
    assert not optimizer._optimizer_step_pre_hooks, "closed: nothing of ours is left"


def test_dead_units_are_revived(tmp_path: Path) -> None:
    dead, _ = dying.train(0, -5.0, 400)
    good, _ = dying.train(0, 0.0, 400)
    assert dead < 0.3 < good
    path = tmp_path / "r.evenflow"
    accuracy, _ = under(path, True, lambda: dying.train(0, -5.0, 400))
    assert accuracy >= good - 0.05
    done = healed(path)
    assert {d.kind for d in done} == {"revive"}
    assert {d.site for d in done} == {"0", "2"} and done[0].before["dead"] >= 0.5
    assert done[0].before["units"] == 64 * done[0].before["dead"]
    twin = tmp_path / "twin.evenflow"
    assert under(twin, True, lambda: dying.train(0, 0.0, 400))[0] == good
    assert healed(twin) == []


def test_a_revival_changes_no_output_at_once(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    with torch.no_grad():
        net[0].bias[:6] = -100.0
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x = torch.randn(64, 4)
    with evenflow.watch(net, run=tmp_path / "r.evenflow", every=1, heal="revive") as watch:
        for _ in range(60):
            optimizer.zero_grad()
            out = net(torch.randn(16, 4))
            F.mse_loss(out, torch.zeros_like(out)).backward()
            before, weights = net(x), net[0].weight.detach().clone()
            watch._conductor._guarded(lambda: None)  # nothing of ours runs in between
            with torch.no_grad():
                for g in optimizer.param_groups:
                    g["lr"] = 0.0  # the update itself moves nothing: what moves is the revival
            optimizer.step()
            optimizer.param_groups[0]["lr"] = 1e-3
            if not torch.equal(weights, net[0].weight):
                break
    (done,) = healed(watch.path)
    assert done.site == "0" and done.before["units"] == 6
    assert torch.equal(net(x), before)
    assert torch.equal(weights[6:], net[0].weight[6:]), "the living are left alone"
    assert not net[2].weight[:, :6].any() and bool(net[0].weight[:6].any())
    state = optimizer.state[net[0].weight]
    assert not state["exp_avg"][:6].any() and not state["exp_avg_sq"][:6].any()


@pytest.mark.parametrize(
    ("heal", "kinds"),
    [("clip", {"clip"}), ("skip", {"skip"}), (["rollback"], {"rollback"}), ("lr", {"lr"})],
)
def test_never_more_than_was_allowed(heal: Any, kinds: set[str], tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    under(path, heal, lambda: outliers.train(1, True, "momentum", 300))
    assert {d.kind for d in healed(path)} == kinds
    assert evenflow.load(path).meta["heal"] == (heal if isinstance(heal, str) else "rollback")


def test_a_wrong_name_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no 'scip'.*rollback.*Did you mean (skip|clip)"):
        evenflow.watch(run=tmp_path / "r.evenflow", heal="scip")
    assert not (tmp_path / "r.evenflow").exists() or evenflow.current() is None


def test_rolled_back_is_as_it_was_to_the_bit(tmp_path: Path) -> None:
    """Weights, buffers and moments of the snapshot; random state is left alone."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    first: list[Tensor] = []
    with evenflow.watch(run=tmp_path / "r.evenflow", heal="rollback") as watch:
        for t in range(70):
            x, y = torch.randn(16, 4), torch.randn(16, 1)
            scale = 1.0 if t < 60 else float("nan")
            optimizer.zero_grad()
            (F.mse_loss(net(x), y) * scale).backward()
            if t == 50:  # the second snapshot, taken with this gradient at hand
                state = copy.deepcopy(optimizer.state_dict()["state"])
                first = [v.clone() for v in net.state_dict().values()]
            before = torch.get_rng_state()
            optimizer.step()
            assert torch.equal(before, torch.get_rng_state())
            if t == 62:
                break
    done = healed(watch.path)
    assert [(d.kind, d.reason, d.attempt) for d in done] == [("rollback", "non-finite-on-end", 62)]
    assert done[0].after["from_step"] == 50
    for a, b in zip(first, net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    now = optimizer.state_dict()["state"]
    for i, kept in state.items():
        assert all(torch.equal(kept[k], now[i][k]) for k in kept)


def test_a_loss_that_is_another_from_a_step_on_has_not_diverged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = nn.Linear(4, 1), torch.randn(64, 4)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with evenflow.watch(run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(120):
            optimizer.zero_grad()
            (F.mse_loss(net(x), x[:, :1]) + (100.0 if t >= 60 else 0.0)).backward()
            optimizer.step()
    kinds = [(d.kind, d.reason) for d in healed(watch.path)]
    assert kinds == [("rollback", "loss-diverged"), ("lr", "loss-diverged"), ("lr", "another-loss")]
    assert healed(watch.path)[-1].after["factor"] == 1.0


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "heal.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "heal.md", "exec"), {})
    told = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert told == [["40", "clip"], ["70", "skip"]]
