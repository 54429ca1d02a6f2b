"""What every test needs: one thread a process, our own errors raised, a clean environment."""

from __future__ import annotations

import gc
import os
import signal

# Started in the background by a shell (`make test &`), this ignores Ctrl-C, and so would the
# commands that tests interrupt: what is ignored is inherited.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch or numpy is imported anywhere: their pools are sized then. Two test processes with
# two threads each would fight for two cores.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
for variable in [name for name in os.environ if name.startswith("EVENFLOW_")]:
    del os.environ[variable]
os.environ["EVENFLOW_STRICT"] = "1"
os.environ["EVENFLOW_LANG"] = "en"  # whatever the locale of who runs the tests

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402 - it may import numpy

# A busy machine is slow, and that is no failure.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(autouse=True, scope="module")
def _few_objects() -> None:
    """A watch looks at all objects that the garbage collector knows, once or twice. In a process
    of tests these are half a million, which took a fifth of a second each time: what is there
    before a file's tests is put where the collector does not look."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _time_for_samples(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under "auto" a busy machine gives samples up; only tests of that very thing (marked
    `budget`) are to see it."""
    if not request.node.get_closest_marker("budget"):
        monkeypatch.setattr("evenflow.monitor.cadence.LONGEST", 120.0)
