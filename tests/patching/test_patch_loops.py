"""Faults of the loop, mended by their form."""

from __future__ import annotations

import pytest

from evenflow.patching import KnownOptimizer, KnownTraining, patched
from evenflow.treatments import Spot

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
MADE = "opt = torch.optim.SGD(net.parameters(), lr=0.1)\n"


def after(source: str, course: str, known: KnownTraining | None = None) -> str:
    found = patched({"t.py": source.encode()}, course, known or KnownTraining())
    assert found.whole, [str(n) for n in found.notes]
    return found.after["t.py"].decode()


def noted(source: str, course: str) -> str:
    (note,) = patched({"t.py": source.encode()}, course, KnownTraining()).notes
    return note.why


def test_gradients_that_are_never_cleared() -> None:
    source = f"{HEAD}{MADE}for x in data:\n    net(x).sum().backward()\n    opt.step()\n"
    assert "    opt.zero_grad()\n    net(x).sum().backward()\n" in after(source, "edit=step")


def test_a_step_that_is_missing() -> None:
    source = f"{HEAD}{MADE}for x in data:\n    opt.zero_grad()\n    net(x).sum().backward()\n"
    assert after(source, "edit=step").endswith("    net(x).sum().backward()\n    opt.step()\n")


def test_an_order_that_is_wrong_is_left_to_the_reader() -> None:
    source = f"{HEAD}{MADE}opt.zero_grad()\nloss.backward()\nopt.step()\n"
    assert "all three calls are there" in noted(source, "edit=step")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("s = net(x).softmax(1)", "s = net(x)"),
        ("s = F.softmax(net(x), dim=1)", "s = net(x)"),
        ("net = nn.Sequential(nn.Linear(2, 2), nn.Softmax(1))", "nn.Linear(2, 2), nn.Identity())"),
    ],
)
def test_a_softmax_before_a_loss_that_has_one(line: str, expected: str) -> None:
    text = after(f"{HEAD}{line}\nloss = F.cross_entropy(s, y)\n", "edit=logits")
    assert expected in text and "oftmax" not in text


def test_an_assignment_that_would_say_nothing_goes() -> None:
    source = f"{HEAD}s = net(x)\ns = s.softmax(1)\nloss = F.cross_entropy(s, y)\n"
    assert after(source, "edit=logits") == source.replace("s = s.softmax(1)\n", "")
    source = f"{HEAD}s = net(x)\nif soft:\n    s = s.softmax(1)\nloss = F.cross_entropy(s, y)\n"
    assert "if soft:\n    pass  # raw scores" in after(source, "edit=logits")


def test_which_of_two_softmaxes_goes_is_not_guessed() -> None:
    source = f"{HEAD}a = x.softmax(1)\nb = y.softmax(1)\nF.cross_entropy(a, b)\n"
    assert noted(source, "edit=logits") == "it does not show which of 2 calls goes."


def test_training_mode_at_each_epoch() -> None:
    source = (
        f"{HEAD}{MADE}for epoch in range(3):\n    for x in data:\n"
        "        net(x).sum().backward()\n        opt.step()\n    net.eval()\n"
    )
    seen = KnownOptimizer(
        "SGD", made=(Spot("t.py", 5),), stepped=(Spot("t.py", 9),), step_models={"net": 0}
    )
    text = after(source, "edit=train-mode", KnownTraining((), (seen,)))
    assert "for epoch in range(3):\n    net.train()\n    for x in data:\n" in text


def test_a_loader_that_mixes() -> None:
    source = f"{HEAD}loader = DataLoader(data, batch_size=8)\n"
    assert "DataLoader(data, batch_size=8, shuffle=True)" in after(source, "edit=shuffle")
    source = f"{HEAD}loader = DataLoader(data, shuffle=False)\n"
    assert "DataLoader(data, shuffle=True)" in after(source, "edit=shuffle")
    sampled = f"{HEAD}loader = DataLoader(data, sampler=s)\n"
    assert "has a sampler" in noted(sampled, "edit=shuffle")
    two = f"{HEAD}a = DataLoader(one)\nb = DataLoader(two)\n"
    assert "does not show which DataLoader" in noted(two, "edit=shuffle")
    named = f"{HEAD}train = DataLoader(one)\ntest = DataLoader(two)\n"
    assert "train = DataLoader(one, shuffle=True)\n" in after(named, "edit=shuffle")


def test_a_loss_that_is_a_sum() -> None:
    source = f'{HEAD}loss = nn.CrossEntropyLoss(reduction="sum")\n'
    assert 'reduction="mean"' in after(source, "edit=average")


def test_less_weight_decay() -> None:
    source = f"{HEAD}opt = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=1.0)\n"
    assert "weight_decay=1e-4" in after(source, "edit=decay")


def test_clipping_of_scaled_gradients() -> None:
    source = (
        f"{HEAD}{MADE}scaler.scale(loss).backward()\n"
        "nn.utils.clip_grad_norm_(net.parameters(), 1.0)\nscaler.step(opt)\n"
    )
    assert "scaler.unscale_(opt)\nnn.utils.clip_grad_norm_" in after(source, "edit=clip")
