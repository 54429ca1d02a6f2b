"""Whole commands, and the programs that `evenflow cure` is measured on. Minutes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from patch_bench import patch_of, run

from patience import HANG

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Program, arguments, a treatment that mends it, the bar of its README.
MEASURED = (
    ("deep", ("--activation", "Sigmoid"), "tailored=auto; init=lsuv-centred; lr=x0.316", 0.93),
    ("deep", ("--activation", "Tanh"), "tailored=auto; init=lsuv; decay=315", 0.93),
    ("deep", ("--activation", "ReLU"), "tailored=auto; clip=norm:1.0; decay=315; lr=x3.16", 0.93),
    ("dying_relu", (), "norm=batch; clip=norm:1.0; lr=x0.1", 0.954),
    ("exploding_rnn", (), "recurrent=gru; clip=norm:1.0", 0.99),
    (
        *("unscaled_regression", ()),
        "target=standardise:233128:150821; input=standardise; decay=1600; lr=x10",
        0.9846,
    ),
    ("post_ln_transformer", (), "warmup=100; decay=252", 0.924),
    ("double_softmax", (), "optimizer=adam:0.00316; init=lsuv; decay=630", 0.922),
    ("double_softmax", (), "edit=logits", 0.922),
)
#: 24 sigmoid layers, sixty updates, as in tests/trial/test_whole_cure.py.
TRAIN = """import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(512, 16)
y = (x[:, 0] > 0).long()
layers = [m for _ in range(24) for m in (nn.Linear(16, 16), nn.Sigmoid())]
model = nn.Sequential(*layers, nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for step in range(60):
    batch = torch.randint(512, (64,))
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
    loss.backward()
    optimizer.step()
right = (model(x).argmax(1) == y).float().mean()
print(f"acc {right.item():.4f}")
"""


@pytest.mark.parametrize(("program", "args", "course", "bar"), MEASURED)
def test_patched_it_reaches_its_bar(
    program: str, args: tuple[str, ...], course: str, bar: float
) -> None:
    folder = Path(tempfile.mkdtemp()).resolve() / "case"
    folder.mkdir()
    shutil.copy(ROOT / f"tests/trial/programs/{program}.py", folder / "train.py")
    patch = patch_of(folder, "train.py", course, args=args)
    assert patch.whole, [str(n) for n in patch.notes]
    (folder / "train.py").write_bytes(patch.after["train.py"])
    ran, _ = run(folder, "train.py", args=args)
    reached = re.findall(r"(?:acc|R2) (-?[0-9.]+)", ran.output)
    assert ran.ended == "finished" and float(reached[-1]) >= bar, ran.output[-500:]
    shutil.rmtree(folder.parent)


def test_the_example_comes_from_chance_to_nine_of_ten() -> None:
    """Its first remedy (`prescribe` names centred LSUV), applied as the patch."""
    folder = Path(tempfile.mkdtemp()).resolve() / "case"
    folder.mkdir()
    text = (ROOT / "examples/deep_sigmoid.py").read_text()
    at = text.index('\n\nif __name__ == "__main__"')
    text = (
        f'{text[:at]}    print("acc", (model(x).argmax(1) == y).float().mean().item()){text[at:]}'
    )
    (folder / "train.py").write_text(text)
    before, _ = run(folder, "train.py")
    patch = patch_of(folder, "train.py", "init=lsuv-centred")
    (folder / "train.py").write_bytes(patch.after["train.py"])
    after, _ = run(folder, "train.py")
    reached = [float(r.output.split("acc ")[1]) for r in (before, after)]
    assert reached[0] < 0.15 and reached[1] >= 0.9
    shutil.rmtree(folder.parent)


def evenflow(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evenflow", *words]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=HANG
    )


def test_a_cure_hands_over_a_proven_patch_that_needs_no_evenflow(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    asked = ("--jobs", "1", "--budget", "8x", "--seeds", "2", "--metric", "acc ([0-9.]+)")
    done = evenflow(tmp_path, "cure", "--json", *asked, "--patch", "fix.diff", "train.py")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    proof = told["patch"]
    assert proof["offered"] and proof["exact"] and proof["treated"] == proof["patched"]
    assert proof["patched"] == told["after"]["per_seed"]
    assert (tmp_path / "train.py").read_text() == TRAIN
    assert (tmp_path / "fix.diff").read_text().endswith(proof["diff"])
    assert "Next: patch -p1 < fix.diff" in done.stderr
    # again, and written: what was run is remembered
    done = evenflow(tmp_path, "cure", *asked, "--write", "train.py")
    assert done.returncode == 0, done.stderr
    assert "what was there is in train.py.orig" in done.stderr
    assert "equal to the treated runs to the bit." in done.stdout
    assert (tmp_path / "train.py.orig").read_text() == TRAIN
    assert "evenflow" not in (tmp_path / "train.py").read_text()
    ran = subprocess.run(
        [sys.executable, "-I", "train.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert float(ran.stdout.split()[-1]) > 0.75, ran.stderr


@pytest.mark.parametrize("factory", ["make", "Net"])
def test_what_preflight_advises_is_written_and_foreseen_again(factory: str, tmp_path: Path) -> None:
    source = (
        "import torch.nn as nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, depth=30):\n"
        "        super().__init__()\n"
        "        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))\n\n"
        "    def forward(self, x):\n"
        "        for layer in self.layers:\n"
        "            x = layer(x).tanh()\n"
        "        return x\n\n\n"
        "def make():\n"
        "    layers = [m for _ in range(30) for m in (nn.Linear(32, 32), nn.Tanh())]\n"
        "    return nn.Sequential(*layers)\n"
    )
    (tmp_path / "models.py").write_text(source)
    words = ("preflight", f"models:{factory}", "--input", "64,32")
    done = evenflow(tmp_path, *words, "--patch", "fix.diff")
    assert done.returncode == 0, done.stderr
    assert "the patched model's chance to train is 1.00" in done.stdout
    subprocess.run(["patch", "-p1", "-s", "-i", "fix.diff"], cwd=tmp_path, check=True)
    again = evenflow(tmp_path, *words, "--patch", "more.diff")
    assert again.returncode == 3
    assert "nothing is advised, so there is no patch." in again.stderr
