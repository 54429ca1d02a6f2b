"""The live page in a browser: first picture, redraw, a live column, memory, many runs.

    python benchmarks/ui.py                    # 200 and 2,000 layers x 10,000 steps, 1,000 runs
    python benchmarks/ui.py --steps 2000 --runs 100

Needs Debian's chromium and the dev extra. Exit status 1 when a bar of docs/ui.md is missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from evenflow.schema import Channel, Reading, Site
from evenflow.store import Writer

ROOT = Path(__file__).parents[1]
#: Bars: seconds, milliseconds, megabytes, bytes.
FIRST, REDRAW, COLUMN, COLUMN_BYTES, MEMORY, LIST, ASSETS = 0.5, 16, 5, 20_000, 250, 1.0, 150_000


def begun(path: Path, sites: int) -> tuple[Writer, tuple[Channel, ...]]:
    """An open run of a chain of layers, three readings each."""
    writer = Writer(path, {"script": "train.py", "started": 1.0}, max_bytes=1 << 40)
    writer.sites(
        [Site(i, "Net", f"blocks.{i // 10}.{i % 10}", "linear", "affine") for i in range(sites)]
    )
    names = ("delta", "rms", "saturated")
    return writer, tuple(Channel("site", i, m) for m in names for i in range(sites))


def write(path: Path, sites: int, steps: int) -> None:
    """A long run."""
    writer, layout = begun(path, sites)
    dice = np.random.default_rng(0)
    for step in range(steps):
        writer.reading(Reading(step, layout, 10 ** dice.uniform(-6, 0, len(layout))))
        if step % 500 == 0:
            writer.flush()
    writer.curve(list(range(steps)), (1 / (1 + np.arange(steps))).tolist())
    writer.meta(ended="closed")
    writer.close()


def write_sick(path: Path, sites: int, steps: int, sick: int) -> None:
    """A long run in which one layer's gradient is a million times smaller."""
    writer, layout = begun(path, sites)
    dice = np.random.default_rng(0)
    for step in range(steps):
        values = 10 ** dice.normal(-3, 0.2, len(layout))
        values[sick] *= 1e-6
        writer.reading(Reading(step, layout, values))
        if step % 500 == 0:
            writer.flush()
    writer.meta(ended="closed")
    writer.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    command = (sys.executable, "-m", "evenflow", "ui", str(folder), "--port", "0")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        try:
            yield found[0]
        finally:
            process.terminate()


DRAWN = """() => { const c = document.querySelector(".heat canvas");
    return c && c.width > 300 && c.getContext("2d").getImageData(c.width - 9, c.height - 4, 1, 1)
        .data[3] === 255; }"""


def first_picture(page: Page, address: str, name: str) -> float:
    """Seconds from the request to pixels on the canvas; the server has not read the run before."""
    page.goto(address)
    page.wait_for_timeout(500)
    began = time.perf_counter()
    page.goto(f"{address}#/run/{name}")
    page.wait_for_function(DRAWN, polling=5)
    return time.perf_counter() - began


def redraws(page: Page, count: int = 40) -> float:
    """Median milliseconds of a redraw while the picture is zoomed and moved."""
    page.locator(".heat canvas").focus()
    took = []
    for i in range(count):
        page.keyboard.press("+" if i % 8 < 4 else "-")
        took.append(page.evaluate("window.evenflowTook()"))
    return statistics.median(took)


def live_columns(page: Page, address: str, folder: Path) -> tuple[float, float]:
    """(median milliseconds, bytes) of a column that arrives."""
    writer, layout = begun(folder / "live.evenflow", 200)
    values = np.full(len(layout), 1e-3)
    for step in range(400):
        writer.reading(Reading(step, layout, values))
        writer.curve([step], [1.0])
    writer.flush()
    first_picture(page, address, "live")
    took, size = [], 0
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    heard: list[int] = []
    session.on("Network.eventSourceMessageReceived", lambda told: heard.append(len(told["data"])))
    for step in range(400, 412):
        writer.reading(Reading(step, layout, values))
        writer.curve([step], [1.0])
        writer.flush()
        page.wait_for_timeout(700)
        took.append(page.evaluate("window.evenflowLiveTook()") or 0.0)
    writer.close()
    size = max(heard, default=0)
    return statistics.median([t for t in took if t]), float(size)


def memory(page: Page) -> float:
    """Megabytes of the page's own process: its heap, pictures and what the browser needs for it,
    less what shared libraries take (proportional set size)."""
    session = page.context.browser.new_browser_cdp_session()  # type: ignore[union-attr]
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    told = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = [_resident(p["id"]) for p in told if p["type"] == "renderer"]
    return max(sizes)


def _resident(pid: int) -> float:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


def listed(page: Page, address: str, runs: int) -> float:
    """Seconds until all rows of the list stand there."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_function(
        f"() => document.querySelectorAll('table.runs tbody tr').length >= {runs}", polling=5
    )
    return time.perf_counter() - began


def assets() -> int:
    """Bytes of all assets, packed one by one."""
    folder = ROOT / "src" / "evenflow" / "views" / "assets"
    kept = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("LICENSE")]
    return sum(len(gzip.compress(p.read_bytes())) for p in kept)


def measured(steps: int, runs: int) -> dict[str, tuple[float, float]]:
    """By what was measured: the figure and its bar."""
    out: dict[str, tuple[float, float]] = {"assets, packed (bytes)": (assets(), ASSETS)}
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder, many = Path(made) / "runs", Path(made) / "many"
        folder.mkdir()
        many.mkdir()
        for sites in (200, 2000):
            write(folder / f"run{sites}.evenflow", sites, steps)
        write(many / "run0.evenflow", 4, 20)
        for i in range(1, runs):
            shutil.copy(many / "run0.evenflow", many / f"run{i}.evenflow")
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        with served(folder) as address:
            for sites in (200, 2000):
                size = f"{sites} x {steps}"
                bar = FIRST if sites == 200 else float("inf")
                seconds = first_picture(page, address, f"run{sites}")
                out[f"{size}: first picture (s)"] = seconds, bar
                out[f"{size}: redraw (ms)"] = redraws(page), REDRAW
                out[f"{size}: memory (MB)"] = memory(page), MEMORY
            took, told = live_columns(page, address, folder)
            out["live column (ms)"] = took, COLUMN
            out["live column (bytes)"] = told, COLUMN_BYTES
        with served(many) as address:
            out[f"{runs} runs listed (s)"] = listed(page, address, runs), LIST
        browser.close()
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = measured(asked.steps, asked.runs)
    for name, (figure, bar) in found.items():
        print(f"{name:36} {figure:12.4g}   bar {bar:g}{'' if figure <= bar else '   MISSED'}")
    if asked.out:
        told: dict[str, Any] = {name: figure for name, (figure, _bar) in found.items()}
        asked.out.write_text(json.dumps(told, indent=1))
    return int(any(figure > bar for figure, bar in found.values()))


if __name__ == "__main__":
    sys.exit(main())
