"""The pictures of the four demo runs in README: `python -m benchmarks.pictures` draws them anew.

Trains the demo's networks, opens the live page in Chromium, and saves each run's picture of the
gradient as the page itself saves it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from .ui import served

ROOT = Path(__file__).parents[1]
RUNS = ("sigmoid", "relu", "rnn", "residual")


def draw(out: Path) -> list[Path]:
    """One SVG a run."""
    made = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = (sys.executable, "-m", "evenflow", "demo", "--out", folder)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        with served(Path(folder)) as address:
            for name in RUNS:
                page.goto(f"{address}#/run/{name}")
                page.locator(".legend canvas").wait_for()
                with page.expect_download() as waiting:
                    page.get_by_label("Save as ...").select_option("SVG")
                waiting.value.save_as(out / f"{name}.svg")
                made.append(out / f"{name}.svg")
        browser.close()
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for path in draw(asked.out):
        print(path, path.stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
