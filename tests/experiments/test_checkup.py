"""The nine experiments: each sick training fails one of them alone, healthy ones none."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import trainings
from torch import Tensor, nn
from trainings import HEALTHY, SICK, Training

import evenflow
from evenflow.experiments import Change, Checkup, Trace, conduct, page, render


def checked(make: Callable[[], Training], seed: int = 0) -> Checkup:
    torch.manual_seed(seed)
    return evenflow.checkup(*make())


def told(found: Checkup) -> list[str]:
    return [f"{t.name}: {t.status}: {t.said}" for t in found.tested]


@pytest.mark.parametrize("make", HEALTHY, ids=lambda make: make.__name__)
def test_a_healthy_training_fails_nothing(make: Callable[[], Training]) -> None:
    found = checked(make)
    assert found.verdict == "healthy" and found.exit_code == 0, told(found)
    assert sum(t.status == "passed" for t in found.tested) >= 7, told(found)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", SICK, ids=lambda make: make.__name__)
def test_a_sick_training_fails_its_part_alone(make: Callable[[], Training], seed: int) -> None:
    found = checked(make, seed)
    assert [t.name for t in found.failed] == [SICK[make]], told(found)
    assert found.exit_code == 1 and found.failed[0].advice


def test_each_of_the_nine_has_a_sick_training() -> None:
    found = checked(trainings.perceptron)
    assert [t.experiment.number for t in found.tested] == list(range(1, 10))
    assert set(SICK.values()) == {t.name for t in found.tested}


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.Rprop, torch.optim.Adagrad])
def test_other_optimizers(kind: Any) -> None:
    """LBFGS asks for a closure, and keeps its parameters in a list beside its state."""
    torch.manual_seed(0)
    model, batch, loss_fn, _ = trainings.perceptron()
    before = copy.deepcopy(model.state_dict())
    found = evenflow.checkup(model, batch, loss_fn, kind(model.parameters(), lr=0.01))
    assert not found.failed and not [t for t in found.tested if t.why == "error"], told(found)
    assert same(dict(before), dict(model.state_dict()))


def test_straight_through_is_told_and_no_fault() -> None:
    tested = checked(trainings.quantised).tested[1]
    assert (tested.status, tested.why) == ("passed", "straight-through")
    assert {"into.weight", "into.bias"} == set(tested.names)


class Cut(nn.Module):
    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.how = nn.Linear(12, 16), nn.Linear(16, 4), how

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.how(self.first(x)).relu())


def edited(h: Tensor) -> Tensor:
    h = h * 1.0
    with torch.no_grad():
        h.mul_(3.0)
    return h


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (Tensor.detach, "cut"),
        (lambda h: torch.from_numpy(h.detach().numpy()), "cut"),
        (edited, "edited"),
        (lambda h: h + (h**2).detach(), "held"),
        (lambda h: h.clone().sigmoid_(), "right"),
    ],
)
def test_what_stands_between_loss_and_gradient(how: Callable[[Tensor], Tensor], why: str) -> None:
    found = checked(lambda: trainings.of(Cut(how)))
    tested = found.tested[1]
    assert tested.why == why, told(found)
    assert why == "right" or tested.names[0].startswith("first.")


def test_slopes_are_differences_of_the_loss() -> None:
    """The oracle perturbs a copy by hand."""
    from evenflow.experiments import Instrument
    from evenflow.experiments.changing import direction

    torch.manual_seed(0)
    model, (x, y), loss_fn, _ = trainings.perceptron()
    instrument = Instrument(Change(double=True), 0, ("slopes",))
    twin = copy.deepcopy(model)
    try:
        instrument.begin(twin, [])
        (given,), _ = instrument.entering((x,), {})
        instrument.losing(loss_fn(twin(given), y))
    finally:
        instrument.close()
    slopes = instrument.trace().figures["slopes"]
    for name, _p in model.named_parameters():
        ends = []
        for h in (1e-6, -1e-6):
            other = copy.deepcopy(model).double()
            p = dict(other.named_parameters())[name]
            p.data += h * direction(name, p, 0)
            ends.append(loss_fn(other(x.double()), y).item())
        assert slopes[name] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("make", [trainings.mixed, trainings.recurrent, trainings.perceptron])
def test_mixing_is_what_moving_another_sample_does(make: Callable[[], Training]) -> None:
    torch.manual_seed(0)
    model, (x, y), loss_fn, optimizer = make()
    moved = x.clone()
    moved[1:] += 1.0
    with torch.no_grad():
        depends = not torch.allclose(model(x)[0], model(moved)[0], atol=1e-6)
    tested = evenflow.checkup(model, (x, y), loss_fn, optimizer).tested[2]
    assert (tested.why == "mixed") == depends and (tested.evidence["others"] > 0) == depends


class Rounded(nn.Module):
    """Works in bfloat16 within, in float32 at its end, as trainings with autocast do."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.body(x.to(torch.float32)).float()


def test_a_training_in_bfloat16_is_examined_in_float64() -> None:
    tested = checked(lambda: trainings.of(Rounded(trainings.dense()))).tested[1]
    assert (tested.why, tested.evidence["bits"]) == ("right", 64)
    body = nn.Sequential(nn.Linear(12, 32), trainings.WrongTanh(), nn.Linear(32, 4))
    assert checked(lambda: trainings.of(Rounded(body))).tested[1].why == "wrong"


class Shifts(trainings.Language):
    """Shifts the labels itself, and makes its loss of all but the last position."""

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        out = super().forward(input_ids)
        return {"loss": trainings.of_tokens(out[:, :-1], labels[:, 1:]), "logits": out}


@pytest.mark.parametrize("causal", [True, False])
def test_a_model_that_shifts_its_labels_itself(causal: bool) -> None:
    torch.manual_seed(0)
    ids, model = torch.randint(0, 20, (8, 16)), Shifts(causal)
    batch = {"input_ids": ids, "labels": ids}
    found = evenflow.checkup(model, batch, lambda out: out["loss"], trainings.adam(model))
    assert [t.why for t in found.failed] == ([] if causal else ["future"]), told(found)


def spoilt(how: str) -> Training:
    x, y = trainings.table()
    if how == "non-finite":
        x[3, 4] = torch.nan
    elif how == "outlier":
        x[3, 4] = -9999.0
    elif how == "alike":
        x[:] = x[:1].clone()
    elif how == "broadcast":
        net = trainings.dense(classes=1)
        return trainings.of(net, (x, x[:, 0]), lambda out, y: ((out - y) ** 2).mean())
    return trainings.of(trainings.dense(), (x, y))


@pytest.mark.parametrize("how", ["non-finite", "outlier", "alike", "broadcast"])
def test_what_the_data_spoil_is_no_fault_of_its_own(how: str) -> None:
    found = checked(lambda: spoilt(how))
    assert [t.why for t in found.failed] == [how], told(found)
    follows = [t for t in found.tested if t.why == "follows"]
    assert all(t.names == ("data",) for t in follows) and (follows or how != "non-finite")


@pytest.mark.parametrize("value", [50.0, 90.0])
def test_outliers_are_measured_as_a_rule_does(value: float) -> None:
    """Against the obvious: the farthest value over the root mean square of all others."""
    from evenflow.experiments import facts

    torch.manual_seed(0)
    x = torch.randn(40, 3)
    x[7, 1] = value
    far = (x[:, 1].double() - x[:, 1].double().median()).abs()
    others = torch.cat([far[:7], far[8:]]).square().mean().sqrt()
    assert facts.tensor("x", x)["outlier"] == pytest.approx(float(far[7] / others), rel=0.3)


def test_unread_columns_are_named_and_drawn() -> None:
    tested = checked(trainings.unread).failed[0]
    assert tested.names == tuple(str(i) for i in range(5, 12))
    assert tested.picture == ("#####.......",)


def states(model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    """All that a check-up must leave alone."""
    return copy.deepcopy(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "gradients": [p.grad for p in model.parameters()],
            "versions": [p._version for p in model.parameters()],
            "modes": [m.training for m in model.modules()],
            "flags": [p.requires_grad for p in model.parameters()],
            "random": (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()),
            "dtype": torch.get_default_dtype(),
            "grad": torch.is_grad_enabled(),
        }
    )


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("make", [trainings.convolutional, trainings.language, trainings.left_out])
def test_nothing_changes(make: Callable[[], Training]) -> None:
    """Under way: momenta, gradients of an accumulation and a schedule that wraps `step`."""
    torch.manual_seed(3)
    model, batch, loss_fn, optimizer = make()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 3))
    for _ in range(3):
        optimizer.zero_grad()
        loss_fn(model(batch[0]), batch[1]).backward()
        optimizer.step()
        schedule.step()
    loss_fn(model(batch[0]), batch[1]).backward()
    before, data = states(model, optimizer), copy.deepcopy(batch)
    evenflow.checkup(model, batch, loss_fn, optimizer)
    assert same(before, states(model, optimizer)) and same(data, batch)
    before["random"] = None
    assert not same(before, states(model, optimizer))  # the comparison can fail


def test_an_open_watch_hears_nothing(tmp_path: Any) -> None:
    torch.manual_seed(0)
    model, batch, loss_fn, optimizer = trainings.perceptron()
    with evenflow.watch(model, optimizer, run=tmp_path / "run.evenflow", every=1) as watch:
        evenflow.checkup(model, batch, loss_fn, optimizer)
        for _ in range(2):
            optimizer.zero_grad()
            loss_fn(model(batch[0]), batch[1]).backward()
            optimizer.step()
    del watch
    assert evenflow.load(tmp_path / "run.evenflow").steps.tolist() == [0, 1]


class Fickle(nn.Linear):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("one of a kind")


NET, X, Y = nn.Linear(3, 2), torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((lambda x: x, (X, Y), F.cross_entropy), "model must be a torch.nn.Module, not function"),
        ((NET, X, F.cross_entropy), r"batch must be \(inputs, targets\) .*, not Tensor"),
        ((NET, (X, Y, Y), F.cross_entropy), "not 3 parts"),
        ((NET, (), F.cross_entropy), "not 0 parts"),
        ((NET, ("a", Y), F.cross_entropy), "inputs hold no tensor"),
        ((NET, {"x": 3}, F.cross_entropy), "holds no tensor"),
        ((NET, (X, Y), None), "loss_fn must be callable, not NoneType"),
        ((NET, (X, Y), F.cross_entropy, 0.1), "optimizer must be .*, not float"),
        ((NET, (X[:, :2], Y), F.cross_entropy), "one training step of Linear on this batch failed"),
        ((NET, (X, Y), lambda o, y: o), r"tensor of one element, not \[4, 2\]"),
        ((NET, (X, Y), lambda o, y: o.sum().item()), "tensor of one element, not float"),
        ((NET, (X, Y), lambda o, y: o.sum().detach()), "no gradient flows from the loss"),
        ((Fickle(3, 2), (X, Y), F.cross_entropy), "Fickle cannot be copied.*one of a kind"),
        ((nn.Flatten(), (X, Y), F.cross_entropy), "no parameter that requires a gradient"),
    ],
)
def test_what_cannot_be_checked_is_one_clear_error(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evenflow.checkup(*given)


def test_without_time_nothing_is_claimed() -> None:
    torch.manual_seed(0)
    found = evenflow.checkup(*trainings.perceptron(), seconds=1e-9)
    assert {t.why for t in found.tested} == {"time"}
    assert (found.verdict, found.exit_code) == ("unjudged", 3)
    with pytest.raises(ValueError, match="seconds must be above 0, not 0"):
        evenflow.checkup(*trainings.perceptron(), seconds=0)


class Mute:
    """A bench that runs the first step and can do nothing else."""

    most_runs, streams = 8, True

    def __init__(self, how: str) -> None:
        self.how = how

    def run(self, change: Change, steps: int, wants: Any = ()) -> Trace:
        figures = {"params": {"w": {"shape": [1], "trained": True, "held": 1}}}
        if change == Change() and "facts" in wants:
            return Trace("done", "", (1.0,) * steps, figures)
        return Trace(self.how, "not here")


@pytest.mark.parametrize("how", ["error", "cannot"])
def test_what_a_bench_cannot_do_is_not_known(how: str) -> None:
    found = conduct(Mute(how), "script.py")
    assert found.verdict == "unjudged", told(found)
    assert not found.failed and all(t.said for t in found.tested)


def test_a_training_without_a_first_loss_is_an_error() -> None:
    bench = Mute("error")
    bench.run = lambda change, steps, wants=(): Trace("error", "no loss was seen")  # type: ignore
    with pytest.raises(ValueError, match="no loss was seen"):
        conduct(bench, "script.py")


@pytest.mark.parametrize("make", [trainings.unread, trainings.too_fast])
def test_one_rendering_for_json_terminal_and_page(make: Callable[[], Training]) -> None:
    from rich.console import Console

    found = checked(make)
    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert data["verdict"] == "sick" and len(data["experiments"]) == 9
    console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
    render(found, console)
    console.file.close()
    text, html = console.export_text(), page(found)
    for t in found.tested:
        assert t.said in text and t.said.replace("'", "&#x27;") in html
    assert found.failed[0].advice in text


def test_treatments_are_ones_that_cure_reads() -> None:
    from evenflow.schema import parse_treatments
    from evenflow.treatments import read

    def far() -> Training:
        x = torch.randn(32, 12)
        return trainings.of(trainings.dense(classes=1), (x, 500 + x[:, :1]), F.mse_loss)

    made = (trainings.over_sure, trainings.too_fast, trainings.too_slow, trainings.unscaled, far)
    for make in made:
        texts = checked(make).treatments
        assert texts, make
        for text in texts:
            assert [str(read(t)) for t in parse_treatments(text)] == [text]


def test_what_a_user_named_is_escaped() -> None:
    net = nn.Sequential()
    net.add_module("<b>bold", trainings.dense())
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    torch.manual_seed(0)
    found = evenflow.checkup(net, trainings.table(), F.cross_entropy, optimizer)
    assert found.failed and "<b>" not in page(found)
