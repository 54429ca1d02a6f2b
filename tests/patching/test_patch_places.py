"""Where edits go, and what they leave alone: sources in, texts out; nothing is run."""

from __future__ import annotations

import pytest

from evenflow.patching import (
    CannotPatch,
    KnownOptimizer,
    KnownTraining,
    patched,
)
from evenflow.treatments import Spot

HEAD = "import torch\n\nnet = torch.nn.Linear(2, 1)\n"


def after(source: str, course: str, known: KnownTraining | None = None) -> str:
    found = patched({"t.py": source.encode()}, course, known or KnownTraining())
    assert found.whole, [str(n) for n in found.notes]
    return found.after["t.py"].decode()


def made(arguments: str, course: str, cls: str = "SGD", **more: object) -> str:
    """The call that makes the optimizer, after an edit."""
    source = f"{HEAD}opt = torch.optim.{cls}({arguments})\nopt.step()\n"
    spot = (Spot("t.py", 4),)
    optimizer = KnownOptimizer(cls, made=spot, stepped=(Spot("t.py", 5),), **more)  # type: ignore[arg-type]
    text = after(source, course, KnownTraining((), (optimizer,)))
    return text.split(f"torch.optim.{cls}")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("arguments", "course", "expected"),
    [
        ("net.parameters(), lr=0.5", "lr=x0.1", "(net.parameters(), lr=0.05)"),
        ("net.parameters(), 0.5", "lr=x0.1", "(net.parameters(), 0.05)"),
        ("net.parameters(), lr=0.1", "lr=x0.1", "(net.parameters(), lr=0.1 * 0.1)"),
        ("net.parameters(), lr=args.lr", "lr=x0.1", "(net.parameters(), lr=0.1 * args.lr)"),
        ("net.parameters(), lr=a + b", "lr=x0.1", "(net.parameters(), lr=0.1 * (a + b))"),
        ("net.parameters(), lr=cfg['lr']", "lr=x3", "(net.parameters(), lr=3 * cfg['lr'])"),
        ("net.parameters(), lr=0.5", "lr=0.01", "(net.parameters(), lr=0.01)"),
        ("net.parameters(), lr=args.lr", "lr=0.01", "(net.parameters(), lr=0.01)"),
        ("net.parameters()", "lr=0.01", "(net.parameters(), lr=0.01)"),
        ("net.parameters(), lr=1", "momentum=0.9", "(net.parameters(), lr=1, momentum=0.9)"),
        ("net.parameters(), 1, 0.5", "momentum=0.9", "(net.parameters(), 1, 0.9)"),
    ],
)
def test_settings_in_the_call(arguments: str, course: str, expected: str) -> None:
    assert made(arguments, course) == expected


def test_a_default_rate_that_was_measured_is_written_down() -> None:
    assert made("net.parameters()", "lr=x0.5", "Adam", lr=1e-3) == "(net.parameters(), lr=0.0005)"


def test_adams_momentum_is_the_first_of_betas() -> None:
    said = made("net.parameters(), betas=(0.9, 0.95)", "momentum=0.5", "Adam")
    assert said == "(net.parameters(), betas=(0.5, 0.95))"
    assert made("net.parameters()", "momentum=0.5", "Adam").endswith("betas=(0.5, 0.999))")


def test_settings_that_do_not_show_are_set_once_it_is_made() -> None:
    source = f"{HEAD}opt = torch.optim.SGD(net.parameters(), **cfg)\n"
    text = after(source, "lr=x0.1; momentum=0.9")
    assert text.endswith(
        "opt = torch.optim.SGD(net.parameters(), **cfg)\n"
        "for group in opt.param_groups:\n"
        '    group["momentum"] = 0.9\n'
        "for group in opt.param_groups:\n"
        '    group["lr"] *= 0.1\n'
    )


def test_one_argument_a_line_stays_so() -> None:
    source = f"{HEAD}opt = torch.optim.SGD(\n    net.parameters(),  # all\n    lr=0.1,\n)\n"
    text = after(source, "momentum=0.9")
    assert "    net.parameters(),  # all\n    lr=0.1,\n    momentum=0.9,\n)\n" in text


def test_another_optimizer_keeps_the_way_it_is_named() -> None:
    source = "from torch import optim\nopt = optim.SGD(m.parameters(), lr=0.1, momentum=0.9)\n"
    assert after(source, "optimizer=adam").endswith("opt = optim.Adam(m.parameters(), lr=0.001)\n")
    source = "import torch\nfrom torch.optim import SGD\nopt = SGD(m.parameters(), lr=0.1)\n"
    text = after(source, "optimizer=adamw:0.01; lr=x0.5")
    assert text.endswith("opt = torch.optim.AdamW(m.parameters(), lr=0.005)\n")


def test_torch_is_imported_where_only_parts_of_it_were() -> None:
    source = "from torch.optim import SGD\nopt = SGD(m.parameters(), lr=0.1)\n"
    text = after(source, "optimizer=adam")
    assert text.startswith("import torch\nfrom torch.optim import SGD\n")


def test_gradients_are_unscaled_before_they_are_clipped() -> None:
    source = (
        f"{HEAD}opt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "scaler.scale(loss).backward()\nscaler.step(opt)\n"
    )
    text = after(source, "clip=norm:0.5")
    assert text.endswith(
        "scaler.scale(loss).backward()\n"
        "scaler.unscale_(opt)\n"
        "torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)\n"
        "scaler.step(opt)\n"
    )
    again = source.replace("scaler.step", "scaler.unscale_(opt)\nscaler.step")
    assert after(again, "clip=norm:0.5").count("unscale_") == 1


def test_clipping_stands_above_the_step_and_what_is_said_of_it() -> None:
    source = f"{HEAD}opt = torch.optim.SGD(net.parameters(), lr=0.1)\n# the update\nopt.step()\n"
    text = after(source, "clip=value:0.5")
    line = "torch.nn.utils.clip_grad_value_(net.parameters(), 0.5)"
    assert text.endswith(f"{line}\n# the update\nopt.step()\n")


def test_statements_on_one_line_stay_there() -> None:
    source = f"{HEAD}opt = torch.optim.SGD(net.parameters(), lr=0.1)\nloss.backward(); opt.step()\n"
    text = after(source, "clip=norm:1")
    clip = "torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)"
    assert text.endswith(f"loss.backward(); {clip}; opt.step()\n")


def test_a_step_that_takes_a_closure_is_noted_with_its_line() -> None:
    source = f"{HEAD}opt = torch.optim.LBFGS(net.parameters())\nopt.step(closure)\n"
    found = patched({"t.py": source.encode()}, "clip=norm:1", KnownTraining())
    (note,) = found.notes
    assert str(note).startswith("t.py:5: clip=norm:1: the step is given a closure")
    assert "By hand: before optimizer.step(): torch.nn.utils.clip_grad_norm_" in str(note)
    assert not found.after and not found.diff


def test_part_of_a_course_can_be_done() -> None:
    source = f"{HEAD}opt = torch.optim.SGD(net.parameters(), lr=0.5)\nopt.step(closure)\n"
    found = patched({"t.py": source.encode()}, "lr=x0.1; clip=norm:1", KnownTraining())
    assert not found.whole and b"lr=0.05" in found.after["t.py"]
    assert [d.treatment for d in found.done] == ["lr=x0.1"]


def test_names_that_are_taken_are_left_alone() -> None:
    source = (
        "import torch\n\n\ndef pull_weights():\n    pass\n\n\n"
        "opt = torch.optim.SGD(m.parameters(), lr=0.1)\nopt.step()\n"
    )
    text = after(source, "l2=0.1")
    assert "def pull_weights_2(parameters, strength):" in text
    assert "\npull_weights_2(m.parameters(), 0.1)\nopt.step()\n" in text


def test_a_schedule_is_stepped_after_the_optimizer() -> None:
    source = (
        f"{HEAD}opt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for x in data:\n    loss(net(x)).backward()\n    opt.step()\n    opt.zero_grad()\n"
    )
    text = after(source, "warmup=5")
    assert "LambdaLR(opt, lambda t: min(1.0, (t + 1) / 5))\n" in text
    assert "    opt.step()\n    schedule.step()\n    opt.zero_grad()\n" in text


def test_an_unknown_treatment_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no treatment 'nonsense'"):
        patched({"t.py": HEAD.encode()}, "nonsense=1", KnownTraining())


def test_two_edits_at_one_place_are_refused_whole() -> None:
    """Nothing half-written comes out."""
    from evenflow.patching.script_file import ScriptFile
    from evenflow.patching.sources import decoded

    file = ScriptFile("t.py", decoded(b"x = 1\n", "t.py"))
    file.replace_text(0, 5, "y = 2")
    file.replace_text(2, 5, "z")
    with pytest.raises(CannotPatch, match="two edits meet at one place"):
        file.render()
    broken = ScriptFile("t.py", decoded(b"x = 1\n", "t.py"))
    broken.replace_text(0, 5, "x = = 1")
    with pytest.raises(CannotPatch, match="no Python"):
        broken.render()
