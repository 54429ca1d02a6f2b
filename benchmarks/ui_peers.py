"""One sick layer among many: the live page beside TensorBoard and trackio, in the same browser.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install tensorboard trackio
    python -m benchmarks.ui_peers --peers /tmp/peers/bin/python    # 200 layers, 10,000 steps

The same gradient norms (one series a layer) are given to each. Measured: seconds from the request
of its page to the first picture on it, and how many charts a reader looks at, from the top, before
the sick layer's: of a picture of all layers that is one.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from .ui import DRAWN, served, write_sick

#: Writes the series as a TensorBoard event file: `-c`, folder, layers, steps, the sick one.
TENSORBOARD = """
import sys, numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter
folder, layers, steps, sick = sys.argv[1], *map(int, sys.argv[2:])
writer, dice = EventFileWriter(folder), np.random.default_rng(0)
for step in range(steps):
    values = 10 ** dice.normal(-3, 0.2, layers)
    values[sick] *= 1e-6
    told = [
        Summary.Value(tag=f"delta/layer.{i}", simple_value=float(v)) for i, v in enumerate(values)
    ]
    writer.add_event(Event(wall_time=float(step), step=step, summary=Summary(value=told)))
writer.close()
"""
#: The same for trackio's own store.
TRACKIO = """
import sys, numpy as np, trackio
folder, layers, steps, sick = sys.argv[1], *map(int, sys.argv[2:])
dice = np.random.default_rng(0)
trackio.init(project="sick", name="run", embed=False)
for step in range(steps):
    values = 10 ** dice.normal(-3, 0.2, layers)
    values[sick] *= 1e-6
    trackio.log({f"layer.{i}": float(v) for i, v in enumerate(values)}, step=step)
trackio.finish()
"""


def first(page: Page, address: str, drawn: str, limit: float) -> float:
    """Seconds from the request until something is drawn."""
    began = time.perf_counter()
    page.goto(address, timeout=1000 * limit)
    page.wait_for_function(drawn, polling=20, timeout=1000 * limit)
    return time.perf_counter() - began


@contextmanager
def running(command: list[str], seen: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """A server, once it has printed its address."""
    with subprocess.Popen(
        command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        for row in process.stdout:
            if found := re.search(seen, row):
                try:
                    yield found[0]
                finally:
                    process.kill()
                return
        raise RuntimeError(f"{command[0]} printed no address")


def tensorboard(
    page: Page, python: str, folder: Path, asked: argparse.Namespace
) -> tuple[float, int]:
    events = folder / "events"
    given = [str(asked.layers), str(asked.steps), str(asked.sick)]
    subprocess.run([python, "-c", TENSORBOARD, str(events), *given], check=True)
    command = [python, "-m", "tensorboard.main", "--logdir", str(events), "--port", "0",
               "--load_fast=false", "--samples_per_plugin", f"scalars={asked.steps}"]  # fmt: skip
    with running(command, r"http://\S+?:\d+/") as address:
        time.sleep(asked.read)  # it reads the file first: that is not counted
        seconds = first(page, f"{address}#timeseries", CHART, asked.limit)
    return seconds, asked.sick + 1


CHART = """() => [...document.querySelectorAll("canvas, svg")].some((c) => {
    const box = c.getBoundingClientRect(); return box.width > 150 && box.height > 60; })"""


def trackio(page: Page, python: str, folder: Path, asked: argparse.Namespace) -> tuple[float, int]:
    import os

    env = {**os.environ, "TRACKIO_DIR": str(folder / "trackio"), "HF_HUB_OFFLINE": "1"}
    given = [str(asked.layers), str(asked.steps), str(asked.sick)]
    subprocess.run([python, "-c", TRACKIO, str(folder), *given], check=True, env=env)
    command = [python, "-m", "trackio.cli", "show", "--project", "sick"]
    with running(command, r"http://127\.0\.0\.1:\d+\S*", env) as address:
        seconds = first(page, address, CHART, asked.limit)
    return seconds, asked.sick + 1


def evenflow(page: Page, folder: Path, asked: argparse.Namespace) -> tuple[float, int]:
    (folder / "runs").mkdir()
    write_sick(folder / "runs" / "sick.evenflow", asked.layers, asked.steps, asked.sick)
    with served(folder / "runs") as address:
        page.goto("about:blank")
        return first(page, f"{address}#/run/sick", DRAWN, asked.limit), 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", default=sys.executable, help="python that has the peers")
    parser.add_argument("--layers", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--sick", type=int, default=117)
    parser.add_argument(
        "--read", type=float, default=60, help="seconds TensorBoard may read before"
    )
    parser.add_argument("--limit", type=float, default=120, help="seconds a picture may take")
    parser.add_argument("--only", default="evenflow,tensorboard,trackio")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in asked.only.split(","):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            try:
                if name == "evenflow":
                    seconds, charts = evenflow(page, Path(made), asked)
                else:
                    measure = {"tensorboard": tensorboard, "trackio": trackio}[name]
                    seconds, charts = measure(page, asked.peers, Path(made), asked)
                print(
                    f"{name:12} first picture {seconds:6.2f} s   charts until seen {charts}",
                    flush=True,
                )
            except Exception as error:  # the others are measured all the same
                print(f"{name:12} {type(error).__name__}: {str(error)[:300]}", flush=True)
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
