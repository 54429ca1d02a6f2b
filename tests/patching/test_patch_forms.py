"""A patch of every program does what the treatment does, to the bit, and looks like its file."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from patch_bench import copied, patch_of, run

from cases import FIRST, MORE
from evenflow.patching import Patch

RUFF = Path(sys.executable).with_name("ruff")
BOTH = [*FIRST, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]


@pytest.mark.parametrize(("program", "course"), BOTH)
def test_a_patched_run_is_the_treated_one_to_the_bit(program: str, course: str) -> None:
    folder, target = copied(program)
    module = target == "pkg.train"
    patch = patch_of(folder, target, course, module=module)
    assert patch.whole, [str(note) for note in patch.notes]
    treated, _ = run(folder, target, course, module=module, treated=True)
    assert treated.ended == "finished" and len(treated.losses) > 5, treated
    looks_like_its_file(folder, patch)
    applied(folder, patch)
    patched, _ = run(folder, target, module=module)
    assert patched.ended == "finished", patched.output
    assert patched.losses == treated.losses
    assert patched.output.splitlines()[-1] == treated.output.splitlines()[-1]
    shutil.rmtree(folder.parent)


def test_new_parameters_among_the_old_change_at_most_the_last_digits_of_a_norm() -> None:
    """A treatment puts them at the end of the group, and gradients are summed in that order."""
    folder, target = copied("module_trainer")
    course = "norm=batch; clip=norm:0.1"
    patch = patch_of(folder, target, course)
    treated, _ = run(folder, target, course, treated=True)
    applied(folder, patch)
    patched, _ = run(folder, target)
    assert patched.losses == pytest.approx(treated.losses, rel=1e-5)
    shutil.rmtree(folder.parent)


AGAIN = """import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
x = torch.randn(16, 4)
for lr in (0.1, 0.01):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
print(model(x).sum().item())
"""


def test_a_model_that_several_optimizers_train_in_turn_is_started_once() -> None:
    folder, target = copied("argparse_mlp")
    (folder / target).write_text(AGAIN)
    patch = patch_of(folder, target, "init=orthogonal")
    treated, _ = run(folder, target, "init=orthogonal", treated=True)
    applied(folder, patch)
    patched, _ = run(folder, target)
    assert patched.losses == treated.losses and len(treated.losses) == 6
    shutil.rmtree(folder.parent)


def test_the_comparison_can_fail() -> None:
    folder, target = copied("argparse_mlp")
    treated, _ = run(folder, target, "lr=x0.1", treated=True)
    plain, _ = run(folder, target)
    assert treated.losses[:1] == plain.losses[:1] and treated.losses != plain.losses
    shutil.rmtree(folder.parent)


def applied(folder: Path, patch: Patch) -> None:
    """By git, and by patch where there is one; both give the texts that the patch holds."""
    diff = folder.parent / "fix.diff"
    diff.write_bytes(patch.diff)
    if shutil.which("patch"):
        other = folder.parent / "other"
        shutil.copytree(folder, other)
        command = ["patch", "-p1", "--batch", "--silent", "--binary", "-i", str(diff)]
        subprocess.run(command, cwd=other, check=True)
        assert {n: (other / n).read_bytes() for n in patch.after} == patch.after
    subprocess.run(["git", "apply", str(diff)], cwd=folder, check=True)
    assert {n: (folder / n).read_bytes() for n in patch.after} == patch.after


def looks_like_its_file(folder: Path, patch: Patch) -> None:
    """It compiles, keeps comments and width, needs no Evenflow; ruff finds no more than before."""
    for name, raw in patch.after.items():
        old, new = patch.before[name].decode(), raw.decode()
        compile(new, name, "exec")
        assert set(comments(old)) <= set(comments(new))
        widest = max(map(len, old.splitlines()))
        assert max(map(len, new.splitlines())) <= max(widest, 100)
        assert "evenflow" not in new.replace(old, "").lower() or "evenflow" in old.lower()
        assert complaints(old) == complaints(new), name
        assert not re.search(r"\n\n\n\n", new) or re.search(r"\n\n\n\n", old)
        assert formatted(old) is False or formatted(new), new


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [t.string for t in tokens if t.type == tokenize.COMMENT]


def complaints(text: str) -> list[str]:
    command = [RUFF, "check", "--isolated", "--output-format", "concise", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return sorted(re.findall(r"^\S+ (\w+\d+) ", done.stdout, re.MULTILINE))


def formatted(text: str) -> bool:
    command = [RUFF, "format", "--isolated", "--check", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True).returncode == 0
