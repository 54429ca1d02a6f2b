"""Heal in the loops people write: GradScaler, closures, accumulation, GANs, two optimizers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import interventions
from patience import HANG


def healed(path: Path) -> list[tuple[str, int]]:
    return [(d.kind, d.attempt) for d in interventions(evenflow.load(path).events)]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))


def batch(t: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(t)
    x, y = torch.randn(16, 8, generator=draw), torch.randint(0, 3, (16,), generator=draw)
    return x, y


BAD = {20: 1e6, 30: float("nan"), 40: 1e5}
TOLD = [("clip", 20), ("skip", 30), ("clip", 40)]


def finite(model: nn.Module) -> bool:
    return all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_closure_is_looked_into(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    with evenflow.watch(run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(50):
            x, y = batch(t)

            def closure(x: Tensor = x, y: Tensor = y, t: int = t) -> Tensor:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y) * BAD.get(t, 1.0)
                loss.backward()
                return loss

            before = [p.detach().clone() for p in model.parameters()]
            assert isinstance(optimizer.step(closure), Tensor)
            moved = max(
                float((a - b.detach()).abs().max())
                for a, b in zip(before, model.parameters(), strict=True)
            )
            assert (moved == 0) == (t == 30) and moved < 0.2
    assert healed(watch.path) == TOLD and finite(model)


@pytest.mark.parametrize("kind", ["plain", "fused"])
def test_a_grad_scaler_keeps_its_own_skips(kind: str, tmp_path: Path) -> None:
    """An overflow that the scaler sees is the scaler's; outliers are judged at their true scale."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=kind == "fused")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=7)
    with evenflow.watch(run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(50):
            x, y = batch(t)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * BAD.get(t, 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert finite(model)
    late = 39 if kind == "plain" else 40  # a step the scaler leaves out is no attempt, but fused
    assert healed(watch.path) == [("clip", 20), ("clip", late)]
    if kind == "plain":  # a fused optimizer's step is called, and counted, all the same
        events = evenflow.load(watch.path).events
        assert [e.step for e in events if e.kind == "skipped"] == [30]


def test_accumulated_micro_batches_are_one_attempt(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with evenflow.watch(run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(200):
            x, y = batch(t)
            (F.cross_entropy(model(x), y) * BAD.get(t // 4, 1.0) / 4).backward()
            if t % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    assert healed(watch.path) == TOLD and finite(model)


def test_of_a_gan_each_optimizer_is_healed_by_itself(tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, tell = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    opt_g, opt_d = torch.optim.Adam(make.parameters()), torch.optim.Adam(tell.parameters())
    loss = nn.BCEWithLogitsLoss()
    with evenflow.watch(run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(50):
            fake = make(torch.randn(16, 4))
            opt_d.zero_grad()
            out = torch.cat([tell(torch.randn(16, 8)), tell(fake.detach())])
            loss(out, torch.arange(2.0).repeat_interleave(16)[:, None]).backward()
            opt_d.step()
            opt_g.zero_grad()
            (loss(tell(fake), torch.ones(16, 1)) * BAD.get(t, 1.0)).backward()
            kept = [p.detach().clone() for p in make.parameters()]
            opt_g.step()
            same = all(torch.equal(a, b) for a, b in zip(kept, make.parameters(), strict=True))
            assert same == (t == 30)
    run = evenflow.load(watch.path)
    done = interventions(run.events)
    assert healed(watch.path) == TOLD and {d.optimizer for d in done} == {1}
    assert finite(make) and finite(tell)


def test_two_optimizers_of_one_loss_are_rolled_back_together(tmp_path: Path) -> None:
    torch.manual_seed(0)
    a, b = nn.Linear(8, 16), nn.Linear(16, 1)
    first, second = torch.optim.SGD(a.parameters(), 3.0), torch.optim.Adam(b.parameters(), 1e-2)
    with evenflow.watch(run=tmp_path / "r.evenflow", heal="rollback,lr") as watch:
        for t in range(60):
            x, _ = batch(t)
            first.zero_grad()
            second.zero_grad()
            F.mse_loss(b(a(x)), x[:, :1] + 30).backward()
            first.step()
            second.step()
    done = interventions(evenflow.load(watch.path).events)
    assert done and done[0].kind == "rollback" and done[0].after["from_step"] == 0
    assert done[0].after["weight_norm"] < done[0].before["weight_norm"]
    assert finite(a) and finite(b)


def test_an_error_of_ours_is_not_the_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails open in the middle of an intervention: one warning, rates and gradients are back."""
    from evenflow.monitor.healing.healer import Healer

    monkeypatch.delenv("EVENFLOW_STRICT")

    def broken(self: Healer, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Healer, "_note", broken)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    said = pytest.warns(evenflow.EvenflowWarning, match="broken")
    with said, evenflow.watch(run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(50):
            x, y = batch(t)
            optimizer.zero_grad()
            (F.cross_entropy(model(x), y) * (1e6 if t == 20 else 1.0)).backward()
            optimizer.step()
            assert model[0].weight.grad is not None  # type: ignore[index]
        assert not watch.active
    assert finite(model) and not optimizer._optimizer_step_pre_hooks


def test_the_batch_is_kept_only_when_asked(tmp_path: Path) -> None:
    for keep in (False, True):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        path = tmp_path / f"{keep}.evenflow"
        with evenflow.watch(model, run=path, heal="clip", keep_batch=keep):
            for t in range(30):
                x, y = batch(t)
                optimizer.zero_grad()
                (F.cross_entropy(model(x), y) * BAD.get(t, 1.0)).backward()
                optimizer.step()
        kept = path.with_suffix(".batch.pt")
        assert kept.exists() == keep
    saved = torch.load(kept, weights_only=True)
    assert saved["step"] == 20 and torch.equal(saved["calls"][0]["args"][0], batch(20)[0])


def test_another_models_optimizer_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched, other = net(), net()
    one, two = (torch.optim.SGD(m.parameters(), 0.05) for m in (watched, other))
    with evenflow.watch(watched, run=tmp_path / "r.evenflow", heal=True) as watch:
        for t in range(35):
            x, y = batch(t)
            for model, optimizer in ((watched, one), (other, two)):
                optimizer.zero_grad()
                (F.cross_entropy(model(x), y) * BAD.get(t, 1.0)).backward()
                optimizer.step()
    assert healed(watch.path) == TOLD[:2] and finite(watched) and not finite(other)
    assert "another model" in capsys.readouterr().err


def test_on_nonfinite_takes_the_place_of_skip(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with (
        pytest.raises(evenflow.NonFiniteError),
        evenflow.watch(run=tmp_path / "r.evenflow", heal=True, on_nonfinite="stop") as watch,
    ):
        for t in range(50):
            x, y = batch(t)
            optimizer.zero_grad()
            (F.cross_entropy(model(x), y) * BAD.get(t, 1.0)).backward()
            optimizer.step()
    assert healed(watch.path) == TOLD[:1] and finite(model)


WORKER = """
import os, sys, hashlib, torch, torch.distributed as dist
from torch import nn
import torch.nn.functional as F
import evenflow
rank, file, run = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=2)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
model = nn.parallel.DistributedDataParallel(net)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
draw = torch.Generator().manual_seed(rank)
with evenflow.watch(run=run, heal=True):
    for t in range(60):
        x = torch.randn(16, 8, generator=draw)
        y = torch.randint(0, 4, (16,), generator=draw)
        factor = 1.0
        if rank == 1:  # one rank alone meets them
            factor = {20: 1e6, 30: float("nan")}.get(t, 1.0)
        optimizer.zero_grad()
        (F.cross_entropy(model(x), y) * factor).backward()
        optimizer.step()
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_ranks_decide_alike(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    ranks = [
        subprocess.Popen(
            [sys.executable, "worker.py", str(r), str(tmp_path / "meet"), f"{r}.evenflow"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for r in (0, 1)
    ]  # fmt: skip
    outs = [p.communicate(timeout=HANG) for p in ranks]
    assert [p.returncode for p in ranks] == [0, 0], outs
    assert outs[0][0] == outs[1][0] != ""
    for r in (0, 1):
        assert healed(tmp_path / f"{r}.evenflow") == TOLD[:2]


@pytest.mark.slow
def test_a_compiled_model_is_healed(tmp_path: Path) -> None:
    def train(run: Path | None, bad: dict[int, float]) -> list[Tensor]:
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
        watch = evenflow.watch(run=run, heal=True) if run else None
        for t in range(50):
            x, y = batch(t)
            optimizer.zero_grad()
            (F.cross_entropy(compiled(x), y) * bad.get(t, 1.0)).backward()
            optimizer.step()
        if watch is not None:
            assert watch.active
            watch.close()
        return [p.detach().clone() for p in model.parameters()]

    path = tmp_path / "r.evenflow"
    assert all(bool(p.isfinite().all()) for p in train(path, BAD)) and healed(path) == TOLD
    twin = tmp_path / "twin.evenflow"
    bare, under = train(None, {}), train(twin, {})
    assert healed(twin) == []
    for a, b in zip(bare, under, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
