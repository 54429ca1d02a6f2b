"""From the picture alone an eye finds the sick layer: its rows stand out in the demo's sick runs,
and none does in the healthy one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, expect

from evenflow import diagnose, load
from evenflow.views import html

#: Contrast of two colours by WCAG: from 4.5 on small text can be read, below 3 nothing stands out.
SEEN, EVEN = 6.0, 3.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")
    command = (sys.executable, "-m", "evenflow", "demo", "--out", str(folder))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    yield folder


def rows(browser: Browser, demo: Path, name: str) -> dict[str, float]:
    """Luminance of each labelled row at the last step, from the data to the loss."""
    run = load(demo / f"{name}.evenflow")
    (demo / "page.html").write_text(html(run, diagnose(run)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((demo / "page.html").as_uri())
    expect(page.locator("#views .legend canvas")).to_be_visible()
    found: list[tuple[str, list[int]]] = page.evaluate(
        """() => {
        const canvas = document.querySelector(".heat canvas"), brush = canvas.getContext("2d");
        const ratio = canvas.height / canvas.clientHeight;
        const x = canvas.width - 3;
        const at = (y) => [...brush.getImageData(x, Math.round(y * ratio), 1, 1).data];
        return [...document.querySelectorAll(".labels button")].map(
            (l) => [l.title, at(l.offsetTop + 2)]);
        }"""
    )
    page.close()
    return {title: luminance(c[:3]) for title, c in found if c[3]}


def luminance(rgb: list[int]) -> float:
    """Relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in
              (v / 255 for v in rgb)]  # fmt: skip
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@pytest.mark.parametrize("name", ["sigmoid", "relu", "rnn"])
def test_the_sick_rows_stand_out(browser: Browser, demo: Path, name: str) -> None:
    run = load(demo / f"{name}.evenflow")
    shown = rows(browser, demo, name)
    assert contrast(min(shown.values()), max(shown.values())) >= SEEN
    gradient = next(f for f in diagnose(run) if f.code in ("EF101", "EF102", "EF104"))
    named = {run.sites[i].name.partition(".")[2] or run.sites[i].name for i in gradient.sites}
    sick = [v for title, v in shown.items() if any(n.endswith(title) for n in named)]
    last = list(shown.values())[-1]  # next to the loss
    assert sick and contrast(sum(sick) / len(sick), last) >= SEEN / 2


def test_no_row_of_the_healthy_run_does(browser: Browser, demo: Path) -> None:
    shown = rows(browser, demo, "residual").values()
    assert contrast(min(shown), max(shown)) <= EVEN
