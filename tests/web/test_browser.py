"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evenflow.schema import Reading

from .looking import until
from .runs import channels, reading, writer, written

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect


def open_run(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}#/run/{name}")
    expect(page.locator(".legend canvas")).to_be_visible()
    expect(page.locator(".said")).not_to_have_text("reading ...")


def colours(page: Page) -> list[list[int]]:
    """Of the picture's rows, in the middle of each, at its last step."""
    found: list[list[int]] = page.evaluate(
        """() => {
        const canvas = document.querySelector(".heat canvas"), brush = canvas.getContext("2d");
        const labels = [...document.querySelectorAll(".labels button")];
        const ratio = canvas.height / canvas.clientHeight;
        return labels.map((l) => [...brush.getImageData(canvas.width - 3,
            Math.round((l.offsetTop + 4) * ratio), 1, 1).data]);
        }"""
    )
    return [c[:3] for c in found if c[3]]  # open folders have no colour of their own


def test_the_list_is_searched_and_leads_to_a_run(page: Page, address: str) -> None:
    page.goto(address)
    rows = page.locator("table.runs tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_role("searchbox").fill("well")
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="well").click()
    expect(page.locator("h1")).to_have_text("well")


def test_the_sick_layers_are_seen_from_the_picture_alone(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    light = [sum(c) for c in colours(page)]
    assert min(light) < 160 < 380 < max(light), "dark where the gradient is gone"
    open_run(page, address, "well")
    light = [sum(c) for c in colours(page)]
    assert min(light) > 330, "a healthy network is light all over"


def test_hover_keyboard_and_zoom(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    canvas = page.locator(".heat canvas")
    canvas.hover(position={"x": 300, "y": 60})
    expect(page.locator(".tip")).to_contain_text(re.compile(r"linear · step \d+ · delta"))
    canvas.focus()
    page.keyboard.press("+")
    expect(page).to_have_url(re.compile(r"from=\d+"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#said")).to_contain_text("step")
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("from="))


def test_a_reload_and_a_copied_address_show_the_same(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    page.get_by_label("Show", exact=True).select_option("rms")
    expect(page).to_have_url(re.compile("picture=rms"))
    page.reload()
    expect(page.get_by_label("Show", exact=True)).to_have_value("rms")


def test_modules_close_and_open_like_folders(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    labels = page.locator(".labels button")
    before = labels.count()
    page.get_by_role("button", name="Close all").click()
    assert labels.count() < before
    labels.first.click()
    page.get_by_role("button", name="Open all").click()
    assert labels.count() == before


def test_a_layer_its_readings_and_its_line(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    page.locator(".labels button", has_text="linear").first.click()
    panel = page.locator(".panel")
    expect(panel).to_contain_text("layers.py:1")
    expect(panel.locator("table.readings")).to_contain_text("delta")
    expect(page).to_have_url(re.compile("site=1"))


def test_the_network_and_its_backward_pass(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    page.get_by_role("tab", name="Network").click()
    expect(page.locator(".node")).to_have_count(25)
    page.get_by_role("button", name="Play the backward pass").click()
    expect(page.locator(".node.now")).to_have_count(1)


def test_two_runs_on_one_scale(page: Page, address: str) -> None:
    page.goto(address)
    for name in ("sick", "well"):
        page.get_by_label(f"Compare: {name}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".pair canvas.wide")).to_have_count(2)
    expect(page.locator(".pair .legend").last).to_contain_text("exactly zero")
    scales = page.locator(".pair .legend").all_text_contents()
    assert scales[0] == scales[1]
    expect(page.get_by_role("img", name="Difference")).to_be_visible()


def test_languages(page: Page, address: str) -> None:
    open_run(page, address, "sick")
    page.get_by_label("Language").select_option("ru")
    expect(page.get_by_role("tab").first).to_have_text("Слои × шаги")
    page.reload()
    expect(page.get_by_role("tab").first).to_have_text("Слои × шаги")


def test_export(page: Page, address: str, tmp_path: Path) -> None:
    open_run(page, address, "sick")
    starts = {"PNG": b"\x89PNG", "SVG": b"<svg", "CSV": b"step,Net.layers.0.1", "Parquet": b"PAR1"}
    for form, end in starts.items():
        with page.expect_download() as waiting:
            page.get_by_label("Save as ...").select_option(form)
        waiting.value.save_as(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes().startswith(end)


def test_live_while_it_is_written(page: Page, address: str, folder: Path) -> None:
    made, layout = writer(folder / "live.evenflow"), channels(4, "delta")
    for step in range(3):
        made.reading(reading(layout, step, 4))
    made.curve([0, 1, 2], [1.0, 1.0, 1.0])
    made.flush()
    open_run(page, address, "live")
    for step in range(3, 40):
        made.reading(reading(layout, step, 4))
        made.curve([step], [0.5])
    made.flush()
    until(page, 39)
    assert (
        sum(
            "grid" in r
            for r in page.evaluate("performance.getEntriesByType('resource').map(r => r.name)")
        )
        == 1
    )
    made.close()


def test_ctrl_c_ends_it_though_a_page_is_open(browser: Browser, folder: Path) -> None:
    command = (sys.executable, "-m", "evenflow", "ui", str(folder), "--port", "0")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        assert served.stderr is not None
        found = re.search(r"http://\S+", served.stderr.readline())
        assert found is not None
        made = browser.new_page()
        made.goto(f"{found[0]}#/run/well")
        expect(made.locator(".legend canvas")).to_be_visible()
        served.send_signal(signal.SIGINT)
        assert served.wait() in (0, 130, -signal.SIGINT)
        assert "Traceback" not in served.stderr.read()
        made.close()


def test_a_run_that_vanishes_is_said(page: Page, address: str, folder: Path) -> None:
    written(folder / "gone.evenflow")
    open_run(page, address, "gone")
    (folder / "gone.evenflow").unlink()
    expect(page.locator(".said")).to_have_text("The run can no longer be read.", timeout=10_000)


def test_markup_in_names_is_text(page: Page, address: str) -> None:
    open_run(page, address, "evil")
    assert page.locator("img").count() == 0
    page.locator(".labels button", has_text="linear").first.click()
    expect(page.locator(".panel h2")).to_contain_text("<img")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_small_screen(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    made = context.new_page()
    for where in ("", "#/run/sick?site=3", "#/run/sick?view=network", "#/compare?a=sick&b=well"):
        made.goto(f"{address}{where}")
        made.wait_for_load_state("networkidle" if not where.startswith("#/run") else "load")
        made.wait_for_timeout(400)
        assert made.evaluate("document.documentElement.scrollWidth") <= 390, where
    context.close()


def test_a_dead_step_among_many_is_drawn(page: Page, address: str, folder: Path) -> None:
    made, layout = writer(folder / "long.evenflow", sites=2), channels(2, "delta")
    for step in range(6_000):
        values = np.array([1e-3, 1e-3]) * (step != 4_321)
        made.reading(Reading(step, layout, values))
    made.meta(ended="closed")
    made.close()
    open_run(page, address, "long")
    black = page.evaluate(
        """() => {
        const canvas = document.querySelector(".heat canvas");
        const y = canvas.height - 6, brush = canvas.getContext("2d");
        const data = brush.getImageData(0, y, canvas.width, 1).data;
        let found = 0;
        for (let i = 0; i < data.length; i += 4) {
            found += data[i] + data[i + 1] + data[i + 2] === 0 && data[i + 3] === 255;
        }
        return found;
        }"""
    )
    assert 1 <= black <= 3
