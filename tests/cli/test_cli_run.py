"""`evenflow run` is `python` to the script: output, exit code, errors, surroundings."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from programs import both, copies, evenflow, run

import evenflow as library

CASES = {
    "argparse and a main guard": ("classic.py", "--epochs", "4"),
    "a package": ("-m", "packaged", "6"),
    "two models": ("gan.py",),
    "sys.exit with a number": ("exits.py", "3"),
    "a fork and a thread": ("forks.py",),
    "what it sees": ("surroundings.py", "--help", "-x", "--", "a b"),
}


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "scripts" / "evenflow-runs").glob("*.evenflow"))


@pytest.mark.parametrize("args", CASES.values(), ids=CASES)
def test_prints_and_exits_as_under_python(args: tuple[str, ...], tmp_path: Path) -> None:
    bare, watched = both(tmp_path, *args)
    assert watched.stdout == bare.stdout, watched.stderr
    assert watched.returncode == bare.returncode, watched.stderr
    assert "Traceback" not in watched.stderr
    if args[0] != "surroundings.py":
        assert len(runs(tmp_path)) == 1
        assert len(library.load(runs(tmp_path)[0]).steps) >= 4


def test_workers_stdin_and_files_beside_it(tmp_path: Path) -> None:
    settings = '{"seed": 4, "start": ["fork", "spawn"]}'  # how workers are started
    bare, watched = both(tmp_path, "loader.py", stdin=settings)
    assert bare.returncode == 0, bare.stderr
    assert watched.stdout == bare.stdout, watched.stderr
    assert watched.returncode == 0
    assert [p.name.split("-")[0] for p in runs(tmp_path)] == ["loader"]  # no worker wrote one


@pytest.mark.slow
def test_compiled_with_accumulation(tmp_path: Path) -> None:
    """Promise 1: compiled without random ops, within 1e-4; sampled steps run eager."""
    bare, watched = both(tmp_path, "compiled.py", options=("--every", "4"))
    assert bare.returncode == watched.returncode == 0, watched.stderr
    pairs = zip(bare.stdout.split(), watched.stdout.split(), strict=True)
    assert all(math.isclose(float(a), float(b), rel_tol=1e-4) for a, b in pairs)
    stored = library.load(runs(tmp_path)[0])
    assert stored.step("backwards") is not None
    assert set(stored.step("backwards")) == {4.0}  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["backward", "chain"])
def test_an_error_is_the_scripts_own(how: str, tmp_path: Path) -> None:
    bare, watched = both(tmp_path, "raises.py", how)
    assert watched.stdout == bare.stdout
    assert watched.returncode == bare.returncode == 1
    assert watched.stderr.startswith(bare.stderr), watched.stderr  # to the letter; then our words
    assert "Next: evenflow report" in watched.stderr
    ended = library.load(runs(tmp_path)[0]).meta["ended"]
    assert ended.startswith("error: "), ended


def test_a_syntax_error(tmp_path: Path) -> None:
    where = copies(tmp_path)
    (where / "broken.py").write_text("print('never')\ndef f(:\n    pass\n")
    bare, watched = both(tmp_path, "broken.py")
    assert watched.stdout == bare.stdout == ""
    assert watched.returncode == bare.returncode == 1
    assert watched.stderr.startswith(bare.stderr)


def test_sys_exit_with_a_text(tmp_path: Path) -> None:
    bare, watched = both(tmp_path, "exits.py", "'it went wrong'")
    assert (watched.stdout, watched.returncode) == (bare.stdout, bare.returncode)
    assert bare.returncode == 1
    assert watched.stderr.startswith("it went wrong\n")


def test_a_folder_with_a_main(tmp_path: Path) -> None:
    where = copies(tmp_path)
    (where / "app").mkdir()
    (where / "app/__main__.py").write_text(
        "import sys, part\nprint(sys.argv, sys.path[0], __name__, __file__, part.X)"
    )
    (where / "app/part.py").write_text("X = 1")
    bare, watched = both(tmp_path, "app", "1")
    assert bare.returncode == 0
    assert watched.stdout == bare.stdout, watched.stderr


def test_options_before_the_script_only(tmp_path: Path) -> None:
    where = copies(tmp_path)
    done = evenflow(where, "run", "--out", "mine.evenflow", "classic.py", "--help")
    assert done.returncode == 0
    assert "Trains a small net." in done.stdout
    assert "no training step was seen" in done.stderr


def test_without_sampling_it_says_so(tmp_path: Path) -> None:
    where = copies(tmp_path)
    done = evenflow(where, "run", "--every", "0", "classic.py")
    assert done.returncode == 0
    assert "none was measured: sampling was off" in done.stderr
    assert "no training step was seen" not in done.stderr


def test_says_in_one_line_that_nothing_trained(tmp_path: Path) -> None:
    where = copies(tmp_path)
    for script, said in (("no_training.py", "no training step"), ("no_torch.py", "never imported")):
        done = evenflow(where, "run", script)
        assert done.returncode == 0
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert said in done.stderr
        assert done.stdout in ("2.0\n", "False\n")


def test_disabled_runs_it_plainly(tmp_path: Path) -> None:
    where = copies(tmp_path)
    done = evenflow(where, "run", "classic.py", "--epochs", "1", EVENFLOW_DISABLE="1")
    assert done.returncode == 0
    assert done.stderr == ""
    assert not runs(tmp_path)


def test_options_by_environment(tmp_path: Path) -> None:
    where = copies(tmp_path)
    done = evenflow(
        where,
        "run",
        "classic.py",
        "--epochs",
        "3",
        EVENFLOW_EVERY="3",
        EVENFLOW_OUT="kept.evenflow",
        EVENFLOW_JSON="kept.json",
        EVENFLOW_QUIET="1",
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert list(library.load(where / "kept.evenflow").steps) == [0, 3, 6]
    assert '"verdict"' in (where / "kept.json").read_text()


def test_a_script_that_changes_folder(tmp_path: Path) -> None:
    where = copies(tmp_path)
    (where / "moves.py").write_text("import os\nos.chdir('/')\n")
    with (where / "moves.py").open("a") as file:
        file.write((where / "gan.py").read_text())
    done = evenflow(where, "run", "--out", "a b.evenflow", "--json", "a.json", "moves.py")
    assert done.returncode == 0, done.stderr
    assert (where / "a b.evenflow").exists()
    assert (where / "a.json").exists()
    assert done.stderr.splitlines()[-1] == "Next: evenflow report 'a b.evenflow'"


def test_a_model_can_be_saved_under_the_guard(tmp_path: Path) -> None:
    """The script pickles its model: nothing of ours may hang on it."""
    bare, watched = both(tmp_path, "classic.py", options=("--on-nonfinite", "report"))
    assert watched.stdout == bare.stdout, watched.stderr
    assert watched.returncode == 0


@pytest.mark.parametrize("met", [False, True])
def test_a_writer_that_fails_is_told_once(met: bool, tmp_path: Path) -> None:
    """By the watch where the script goes on long enough for it to hear, else at the end."""
    (tmp_path / "spoilt.py").write_text(
        "import sys\nfrom evenflow.cli import main\nfrom evenflow.store.sink import Sink\n"
        "def fault(*args, **options):\n    raise ZeroDivisionError('planted')\n"
        "Sink.reading = fault\nsys.exit(main(['run', '--every', '1', 'train.py']))\n"
    )
    (tmp_path / "train.py").write_text(
        "import time, torch\nm = torch.nn.Linear(2, 1)\n"
        "o = torch.optim.SGD(m.parameters(), 0.1)\n"
        "def step():\n    o.zero_grad(); m(torch.ones(4, 2)).square().mean().backward(); o.step()\n"
        "step()\n"
        + ("from evenflow.monitor import current\n"
           "while current() is not None and current().active:\n    step(); time.sleep(0.01)\n"
           if met else "")
    )  # fmt: skip
    done = run((sys.executable, "spoilt.py"), tmp_path, strict=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("planted") == 1, done.stderr
    assert ("Evenflow stopped watching" in done.stderr) is met


def test_stop_on_nonfinite_ends_the_script(tmp_path: Path) -> None:
    (tmp_path / "nan.py").write_text(
        "import torch\nm = torch.nn.Linear(2, 1)\no = torch.optim.SGD(m.parameters(), 0.1)\n"
        "for i in range(9):\n    x = torch.ones(4, 2) * (float('nan') if i == 5 else 1)\n"
        "    o.zero_grad(); m(x).square().mean().backward(); o.step(); print(i)\n"
    )
    done = evenflow(tmp_path, "run", "--on-nonfinite", "stop", "nan.py")
    assert done.stdout.split() == list("01234")
    assert done.returncode == 1
    assert "NonFiniteError" in done.stderr
    assert "EF103" in done.stderr or "EF503" in done.stderr


PLANTS = {
    "in a rule": ("evenflow.faults.ef101_vanishing_gradient", "VanishingGradient.check", None),
    "in the tape": ("evenflow.tape.recorder", "Recorder.settle", "Evenflow stopped watching"),
    "in the forward": ("evenflow.tape.modulecalls", "ModuleCalls._enter_call", "stopped watching"),
    "in the writer": ("evenflow.store.sink", "Sink.reading", "planted"),
    "in watch": ("evenflow", "watch", "evenflow: could not watch (ZeroDivisionError: planted)"),
    "in the report": ("evenflow.report", "text", "evenflow: could not judge the run"),
}


@pytest.mark.parametrize(("module", "name", "said"), PLANTS.values(), ids=PLANTS)
def test_fails_open(module: str, name: str, said: str | None, tmp_path: Path) -> None:
    """An error planted anywhere in Evenflow: the script ends as without it, with one warning."""
    where = copies(tmp_path)
    owner, _, attribute = name.rpartition(".")
    (where / "spoilt.py").write_text(
        "import sys\nfrom evenflow.cli import main\n"
        f"import evenflow, {module} as owner\n"
        + (f"owner = owner.{owner}\n" if owner else "")
        + f"assert hasattr(owner, {attribute!r})\n"
        "def fault(*args, **options):\n    raise ZeroDivisionError('planted')\n"
        f"setattr(owner, {attribute!r}, fault)\n"
        "sys.exit(main(['run', '--every', '1', 'classic.py', '--epochs', '2']))\n"
    )
    bare = run((sys.executable, "classic.py", "--epochs", "2"), where)
    done = run((sys.executable, "spoilt.py"), where, strict=False)
    assert done.stdout == bare.stdout, done.stderr
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("planted") <= 1, done.stderr
    if said is not None:
        assert said in done.stderr


CUT = """
import torch
from evenflow.tape.bounds import Bounds
# as on a machine on which each sample takes too long
Bounds.limit = property(lambda self: 0.0, lambda self, seconds: None)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for _ in range(12):
    x = torch.randn(32, 4)
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(net(x).squeeze(1), x[:, 0]).backward()
    optimizer.step()
print("trained")
"""


def test_where_every_sample_was_cut_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CUT)
    done = evenflow(tmp_path, "run", "--out", "cut.evenflow", "train.py")
    assert done.returncode == 0 and done.stdout == "trained\n"
    told = evenflow(tmp_path, "check", "cut.evenflow")
    assert told.returncode == 3 and told.stdout == ""
    for said in (done.stderr, told.stderr):
        said = " ".join(said.split())
        assert "no step could be sampled: reading one takes longer than sampling may" in said
        assert "HEALTHY" not in said and "no training step was seen" not in said
