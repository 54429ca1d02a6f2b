"""Jobs in processes of their own: whatever a script does is bounded, and told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evenflow.script import Program
from evenflow.trial import Job, Outcome, engine
from evenflow.trial.engine import CHILD, LocalPool, Remembered
from evenflow.trial.metric import compiled
from evenflow.trial.scratch import FolderSnapshot
from patience import HANG

TRAIN = """
import os, random, sys
import torch
from torch import nn
{before}
x = torch.randn(64, 8)
y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for step in range({steps}):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print("acc", (model(x).argmax(1) == y).float().mean().item())
open("log.txt", "a").write("trained\\n")
torch.save(model.state_dict(), "model.pt")
"""


def pool(folder: Path, script: str, *args: str, size: int = 1, in_place: bool = False) -> LocalPool:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "train.py").write_text(script)
    state = folder / "state"
    snapshot = None if in_place else FolderSnapshot(project, state / "snapshot")
    return LocalPool(
        Program("train.py", str(project), args),
        state / "jobs",
        CHILD,
        snapshot,
        compiled("acc ([0-9.]+)"),
        size=size,
    )


def run(pool: LocalPool, *jobs: Job) -> list[Outcome]:
    found = dict(pool.run(jobs))
    return [found[job] for job in jobs]


def test_trainings_side_by_side_stay_in_their_scratch(tmp_path: Path) -> None:
    """Unseeded: seeded by us, so equal jobs are equal; another seed differs; a horizon stops."""
    script = TRAIN.format(before="", steps=10)
    two = pool(tmp_path, script, size=2)
    (tmp_path / "project" / "log.txt").write_text("mine\n")
    two.snapshot = FolderSnapshot(tmp_path / "project", tmp_path / "state" / "snapshot2")
    whole, short, other, swapped = run(
        two,
        Job(),
        Job(steps=4, treatments="lr=x0.5"),
        Job(seed=1),
        Job(steps=4, treatments="optimizer=adam:0.001"),
    )
    assert (swapped.ended, swapped.steps) == ("horizon", 4)  # the script's updates, not its own
    assert swapped.loss_steps == (0, 1, 2, 3)
    assert (whole.ended, whole.steps, whole.error) == ("finished", 10, "")
    assert (short.ended, short.steps) == ("horizon", 4)
    assert whole.losses[0] == short.losses[0] != other.losses[0]
    assert whole.losses[1] != short.losses[1]  # half the rate
    assert len(whole.losses) == 10 and whole.losses[-1] < whole.losses[0]
    assert whole.metric is not None and 0 < whole.metric <= 1 and whole.applied
    assert Path(whole.run).is_file() and "acc" in Path(whole.output).read_text()
    project = tmp_path / "project"
    assert {p.name for p in project.iterdir()} == {"train.py", "log.txt"}
    assert (project / "log.txt").read_text() == "mine\n"
    assert not list(tmp_path.glob("state/jobs/*/scratch"))


def test_in_place_runs_where_the_script_lies(tmp_path: Path) -> None:
    script = "import sys; open('out.txt', 'w').write(sys.argv[1]); print('acc 0.5')"
    (outcome,) = run(pool(tmp_path, script, "hello", in_place=True), Job())
    assert (outcome.ended, outcome.metric) == ("finished", 0.5)
    assert (tmp_path / "project" / "out.txt").read_text() == "hello"
    assert "never imported torch" in outcome.uncontrolled[0]


def test_an_absolute_path_into_the_folder_leads_into_the_copy(tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'w').write('x'); print('acc', 1)"
    target = tmp_path / "project" / "out.txt"
    (outcome,) = run(pool(tmp_path, script, str(target)), Job())
    assert outcome.ended == "finished" and not target.exists()


@pytest.mark.parametrize(
    ("script", "ended", "said"),
    [
        ("raise ValueError('no such file')", "error", "ValueError: no such file"),
        ("import sys; sys.exit(3)", "error", "SystemExit: 3"),
        ("import sys; sys.exit('sorry')", "error", "SystemExit: sorry"),
        ("def f(:", "error", "SyntaxError"),
        ("import os; os._exit(7)", "error", "exit code 7 and without a word"),
        ("import os; os.kill(os.getpid(), 11)", "error", "ended by SIGSEGV"),
        ("import time; time.sleep(99)", "time", ""),
        ("while True: pass", "time", ""),
        ("import os; os.kill(os.getpid(), 19)", "killed", "answered no more"),
        ("while True: print('x' * 1000)", "killed", "printed more than"),
        ("input()", "error", "EOFError"),
    ],
)
def test_what_goes_wrong_is_bounded_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, ended: str, said: str
) -> None:
    # Starting a process may take a busy machine many seconds: only the one that answers no more
    # is given a short grace, and only those meant to run out of time have little of it.
    monkeypatch.setattr(engine, "GRACE", 1.0 if said == "answered no more" else HANG)
    monkeypatch.setattr(engine, "MOST_OUTPUT", 1 << 20)
    brief = ended == "time" or said == "answered no more"
    (outcome,) = run(pool(tmp_path, script), Job(seconds=1.0 if brief else HANG))
    assert (outcome.ended, outcome.metric) == (ended, None)
    assert said in outcome.error


def test_what_a_script_leaves_running_is_stopped(tmp_path: Path) -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
print("pid", child.pid)
"""
    (outcome,) = run(pool(tmp_path, script), Job())
    pid = int(Path(outcome.output).read_text().split()[1])
    until = time.monotonic() + HANG
    state = Path(f"/proc/{pid}/stat")
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < until, "the script's own process is still running"
        time.sleep(0.05)


def test_writing_elsewhere_is_told(tmp_path: Path) -> None:
    outside = Path.home() / f"evenflow-test-{os.getpid()}.txt"
    script = f"open({str(outside)!r}, 'w').write('x')"
    try:
        (outcome,) = run(pool(tmp_path, script), Job())
    finally:
        outside.unlink(missing_ok=True)
    assert any("outside its scratch copy" in note for note in outcome.uncontrolled)


def test_writing_beside_the_folder_reaches_nothing_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "log.txt").write_text("mine")
    (tmp_path / "results" / "model.pt").write_text("mine")
    script = """
import torch
open("../results/log.txt", "a").write("theirs")
open("../results/more.txt", "w").write("theirs")
open("../beside.txt", "w").write("theirs")
torch.save(torch.ones(2), "../results/model.pt")
assert open("../results/log.txt").read() == "minetheirs"
assert torch.load("../results/model.pt").sum() == 2
"""
    (outcome,) = run(pool(tmp_path, script), Job())
    assert (outcome.ended, outcome.error) == ("finished", "")
    assert not any("outside" in note for note in outcome.uncontrolled)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["project", "results", "state"]
    assert {p.name: p.read_text() for p in (tmp_path / "results").iterdir()} == {
        "log.txt": "mine",
        "model.pt": "mine",
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_killed_with_9_the_cure_takes_all_with_it(tmp_path: Path) -> None:
    """The script, and what the script has started: nobody waits for them any more."""
    (tmp_path / "train.py").write_text(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(9999)'])\n"
        "open(os.environ['PIDS'] + '.part', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename(os.environ['PIDS'] + '.part', os.environ['PIDS'])\n"
        "time.sleep(9999)\n"
    )
    pids = tmp_path / "pids"
    cure = subprocess.Popen(
        [sys.executable, "-m", "evenflow", "cure", "train.py"],
        cwd=tmp_path,
        env={**os.environ, "PIDS": str(pids)},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + HANG
    while not pids.exists():
        assert cure.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    cure.kill()
    cure.wait()
    for pid in pids.read_text().split():
        state = Path(f"/proc/{pid}/stat")
        while state.exists() and state.read_text().split()[2] != "Z":
            assert time.monotonic() < until, "it lives on"
            time.sleep(0.05)


def test_stopping_the_pool_stops_what_runs(tmp_path: Path) -> None:
    script = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(99)"
    jobs = pool(tmp_path, script, size=2)
    running = jobs.run([Job(seconds=99), Job(seed=1, seconds=0.5)])
    next(running)  # the one with little time; the other still sleeps
    (output,) = [p for p in tmp_path.glob("state/jobs/*/output.txt") if p.parent.name == Job().key]
    pid = int(output.read_text().split()[1])
    running.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{pid}").exists()
    assert not list(tmp_path.glob("state/jobs/*/scratch"))


def test_what_was_run_is_remembered(tmp_path: Path) -> None:
    asked: list[Job] = []

    class Fake:
        def run(self, jobs):  # type: ignore[no-untyped-def]
            for job in jobs:
                asked.append(job)
                yield job, Outcome("finished", steps=3, losses=(1.0,), loss_steps=(0,))

    journal = tmp_path / "journal.jsonl"
    first = dict(Remembered(Fake(), journal).run([Job(), Job(seed=1)]))
    with open(journal, "a") as file:
        file.write('{"key": "half a li')  # the power went
    again = Remembered(Fake(), journal)
    assert dict(again.run([Job(seed=1), Job(), Job(seed=2)])).keys() >= first.keys()
    assert asked == [Job(), Job(seed=1), Job(seed=2)]
    assert len(Remembered(Fake(), journal).known) == 3  # the half line swallows no other


def test_what_was_cut_short_is_run_again_with_more_time(tmp_path: Path) -> None:
    class Slow:
        def run(self, jobs):  # type: ignore[no-untyped-def]
            for job in jobs:
                yield job, Outcome("time", seconds=job.seconds)

    journal = tmp_path / "journal.jsonl"
    list(Remembered(Slow(), journal).run([Job(seconds=5)]))
    known = Remembered(Slow(), journal)
    assert [o.seconds for _, o in known.run([Job(seconds=6)])] == [5]
    assert [o.seconds for _, o in known.run([Job(seconds=50)])] == [50]


@pytest.mark.parametrize("at", ["copying", "launching", "finishing"])
def test_ctrl_c_leaves_no_copy_wherever_it_strikes(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = pool(tmp_path, "print('done')")
    kind, name = {
        "copying": (FolderSnapshot, "copy"),
        "launching": (LocalPool, "_environment"),
        "finishing": (LocalPool, "_finish"),
    }[at]
    whole = getattr(kind, name)

    def struck(*args: object) -> None:
        if at != "finishing":  # there it strikes before anything was cleared
            whole(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, name, struck)
    with pytest.raises(KeyboardInterrupt):
        run(one, Job())
    assert not [p for p in tmp_path.rglob("*") if p.name in ("scratch", "tmp")]
