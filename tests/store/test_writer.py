"""The writer never harms: no waiting, no silent death, no loss but the last second."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from evenflow.schema import Channel, Event, Finding, Reading, Severity, Site
from evenflow.store import Writer, follow, load
from evenflow.store import writer as module

CHANNELS = (Channel("site", 0, "rms"), Channel("step", 0, "loss"))
SITES = [Site(0, "MLP", "layers.0", "linear", "affine")]
PREAMBLE = """
import os, sys, time
import numpy as np
from evenflow.schema import Channel, Event, Reading, Site
from evenflow.store import Writer, load
CHANNELS = (Channel("site", 0, "rms"), Channel("step", 0, "loss"))
path = sys.argv[1]
writer = Writer(path, {"script": "x.py"})
writer.sites([Site(0, "MLP", "layers.0", "linear", "affine")])
def put(step):
    writer.reading(Reading(step, CHANNELS, np.array([step, 1.0])))
    writer.curve([step], [1.0])
"""


def script(body: str, path: Path) -> list[str]:
    return [sys.executable, "-c", PREAMBLE + textwrap.dedent(body), str(path)]


def reading(step: int) -> Reading:
    return Reading(step, CHANNELS, np.array([step, 1.0]))


def test_a_killed_run_loses_at_most_its_last_second(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    body = """
    for step in range(100_000):
        put(step)
        print(step, time.time(), flush=True)
        time.sleep(0.01)
    """
    process = subprocess.Popen(script(body, path), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told: list[tuple[int, float]] = []
    while len(told) < 50 or told[-1][1] < told[0][1] + 2.5:
        step, when = process.stdout.readline().split()
        told.append((int(step), float(when)))
    process.send_signal(signal.SIGKILL)
    killed = time.time()
    process.wait()
    process.stdout.close()
    run = load(path)
    # On a busy machine the writer's thread waits its turn as long as the script's own does.
    turn = max(later - when for (_, when), (_, later) in itertools.pairwise(told))
    sure = [step for step, when in told if when < killed - 1 - 4 * turn]
    assert len(sure) > 20
    assert run.steps[: len(sure)].tolist() == sure
    assert run.curve_steps[: len(sure)].tolist() == sure
    assert run.sites == tuple(SITES)


def test_a_script_that_forgets_to_close_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    subprocess.run(script("for step in range(500): put(step)", path), check=True)
    assert len(load(path).steps) == 500
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_forked_child_leaves_the_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    body = """
    import warnings
    warnings.simplefilter("ignore")
    for step in range(100):
        put(step)
    writer.flush()
    child = os.fork()
    if child == 0:
        for step in range(1000, 1100):
            put(step)
        writer.event(Event("note", 1, {}))
        writer.flush()
        writer.close()
        sys.exit(7)  # a normal exit: atexit, garbage collection and all
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert os.path.getsize(path + "-wal") > 0, "the child folded the parent's log in"
    for step in range(100, 200):
        put(step)
    writer.flush()
    print(len(load(path).steps))
    writer.close()
    assert writer.error is None
    """
    done = subprocess.run(script(body, path), check=True, capture_output=True, text=True)
    assert done.stdout == "200\n"
    run = load(path)
    assert run.steps.tolist() == list(range(200))
    assert run.events == ()


def test_a_run_is_readable_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    body = """
    for step in range(3000):
        put(step)
        if step == 10:
            writer.flush()
            print("go", flush=True)
        time.sleep(0.0005)
    writer.close()
    assert writer.error is None
    """
    process = subprocess.Popen(script(body, path), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    seen = []
    while process.poll() is None:
        run = load(path)
        seen.append(len(run.steps))
        np.testing.assert_array_equal(run.columns[CHANNELS[0]], run.steps)
        assert len(run.curve_steps) == len(run.steps)
    process.stdout.close()
    assert process.returncode == 0
    assert seen == sorted(seen)
    assert 10 < seen[0] < 3000
    assert len(load(path).steps) == 3000


def test_the_first_error_is_kept_said_in_the_file_and_stops_the_rest(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r.evenflow", {})
    writer.sites(SITES)
    writer.reading(reading(3))
    writer.reading(Reading(4, CHANNELS, np.zeros(5)))
    writer.reading(reading(5))
    writer.flush()
    deadline = time.monotonic() + 10
    while writer.error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert isinstance(writer.error, ValueError)
    assert "step 4 has 2 channels but values of shape (5,)" in str(writer.error)
    writer.reading(reading(6))
    writer.flush()
    writer.close()
    run = load(writer.path)
    assert run.steps.tolist() == [3]
    assert [event.kind for event in run.events] == ["stopped"]
    assert run.events[0].step == 3
    assert "step 4" in run.events[0].detail["error"]
    assert run.meta["ended"].startswith("error: ValueError")


def test_a_full_disk_does_not_reach_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path / "r.evenflow", {})
    writer.flush()
    writer._sink.db.execute("PRAGMA max_page_count = 12")
    for step in range(2000):
        writer.reading(reading(step))
    writer.flush()
    writer.close()
    assert "full" in str(writer.error)
    writer.event(Event("note", 0))
    assert load(writer.path).sites == ()


def test_a_slow_disk_leaves_readings_out_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 160)
    writer = Writer(tmp_path / "r.evenflow", {})
    writer.sites(SITES)
    for step in range(15):
        writer.reading(reading(step))
    writer.close()
    run = load(writer.path)
    assert len(run.steps) >= 10
    missing = sum(event.detail["unwritten"] for event in run.events)
    assert len(run.steps) + missing == 15


def test_records_cost_the_training_thread_microseconds(tmp_path: Path) -> None:
    channels = tuple(Channel("site", 0, f"m{i}") for i in range(2400))
    values = np.ones(2400)
    writer = Writer(tmp_path / "r.evenflow", {})
    writer.sites(SITES)
    times = []
    for step in range(200):
        began = time.perf_counter()
        writer.reading(Reading(step, channels, values))
        times.append(time.perf_counter() - began)
    writer.close()
    assert np.median(times) < 2e-4


def test_an_existing_file_is_never_lost(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "r.evenflow"
    first = Writer(path, {"n": 1})
    with pytest.raises(FileExistsError, match=r"r\.evenflow' exists already; give another path"):
        Writer(path, {"n": 2})
    first.close()
    with pytest.raises(FileExistsError):
        Writer(path, {"n": 2})
    assert load(path).meta == {"n": 1}
    Writer(path, {"n": 3}, overwrite=True).close()
    assert load(path).meta == {"n": 3}
    other = tmp_path / "train.py"
    other.write_text("print()")
    with pytest.raises(FileExistsError, match="not an Evenflow run, so it is not overwritten"):
        Writer(other, {}, overwrite=True)
    assert other.read_text() == "print()"


def test_a_path_that_cannot_be_written_says_so_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Writer(tmp_path / "file" / "r.evenflow", {})
    with pytest.raises(OSError, match="exists already"):
        Writer(tmp_path, {})


def test_an_old_log_does_not_leak_into_a_new_run(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    body = "put(1); writer.flush(); os._exit(0)"
    subprocess.run(script(body, path), check=True)
    assert os.path.getsize(f"{path}-wal") > 0
    Writer(path, {}, overwrite=True).close()
    assert len(load(path).steps) == 0


def test_findings_are_replaced(tmp_path: Path) -> None:
    def finding(code: str) -> Finding:
        return Finding(code, "x", Severity.error, (0,), 1, 2, {"a": np.nan})

    writer = Writer(tmp_path / "r.evenflow", {})
    writer.sites(SITES)
    writer.findings([finding("EF101"), finding("EF102")])
    writer.flush()
    writer.findings([finding("EF103")])
    writer.findings([finding("EF103")])
    writer.close()
    assert [f.code for f in (follow(writer.path).findings or ())] == ["EF103"]
