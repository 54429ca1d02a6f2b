"""Ways to look at a run: its network, through time, beside a forecast, a layer, in one file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect

import evenflow
from evenflow import diagnose, load
from evenflow.forecast import save
from evenflow.schema import Channel, Reading, Site
from evenflow.store import Writer
from evenflow.views import html, pair_html

from .looking import until
from .runs import written

torch.manual_seed(0)


class Branches(torch.nn.Module):
    """Two blocks, each with a branch that is added to what it read."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU()) for _ in range(2)
        )
        self.head = torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)  # type: ignore[no-any-return]


class Cell(torch.nn.Module):
    """A cell that is called once a time step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = torch.nn.RNNCell(4, 8), torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(len(x), 8)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state)  # type: ignore[no-any-return]


def trained(path: Path, model: torch.nn.Module, shape: tuple[int, ...], steps: int = 6) -> Path:
    """A few watched steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with evenflow.watch(model, optimizer, run=path, every=1):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(shape)).square().mean().backward()
            optimizer.step()
    return path


def opened(page: Page, address: str, where: str) -> None:
    page.goto(f"{address}#/run/{where}")
    expect(page.locator(".said")).not_to_have_text("reading ...")


def test_branches_show_their_shares_and_modules_close(
    page: Page, address: str, folder: Path
) -> None:
    trained(folder / "branches.evenflow", Branches(), (16, 8))
    opened(page, address, "branches?view=network")
    shares = page.locator(".share").filter(has_text=re.compile(r"%"))
    expect(shares.first).to_be_visible()
    told = [int(t.replace("−", "-").split()[0]) for t in shares.all_text_contents()]
    assert any(abs(a + b - 100) <= 1 for a in told for b in told), "two branches share it all"
    boxes = page.locator(".node").count()
    page.get_by_role("tabpanel").or_(page.locator(".card")).get_by_role(
        "button", name="Close all"
    ).last.click()
    expect(page.locator(".node")).not_to_have_count(boxes)
    page.locator(".node", has_text="▸").first.click()
    assert page.locator(".node").count() >= 2


def test_where_nan_began_is_marked(page: Page, address: str, folder: Path) -> None:
    writer = Writer(folder / "nan.evenflow", {"script": "t.py", "started": 1.0, "every": 1})
    chain = [Site(0, "Net", "", "input", "input")]
    chain += [Site(i, "Net", f"{i}", "linear", "affine", inputs=(i - 1,)) for i in range(1, 6)]
    writer.sites(chain)
    layout = tuple(Channel("site", i, m) for m in ("rms", "nonfinite") for i in range(1, 6))
    broken = [0.0, 0.0, 7.0, 7.0, 7.0]  # the third makes it, the others pass it on
    writer.reading(Reading(0, layout, np.array([1.0] * 5 + broken)))
    writer.close()
    opened(page, address, "nan?view=network&picture=rms")
    expect(page.locator(".node.origin")).to_have_count(1)
    expect(page.locator(".node.origin")).to_contain_text("3 linear")


def test_a_cell_through_time(page: Page, address: str, folder: Path) -> None:
    trained(folder / "cell.evenflow", Cell(), (16, 9, 4))
    opened(page, address, "cell")
    page.get_by_role("tab", name="Through time").click()
    canvas = page.get_by_role("img", name=re.compile("Through time"))
    canvas.hover(position={"x": 50, "y": 5})
    expect(page.locator(".card")).to_contain_text([re.compile(r"t = 0 · step \d+ · delta")])
    opened(page, address, "well")
    expect(page.get_by_role("tab", name="Through time")).to_have_count(0)


def test_a_fused_layer_through_time(page: Page, address: str, folder: Path) -> None:
    class Fused(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = torch.nn.RNN(4, 8, batch_first=True), torch.nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]

    trained(folder / "fused.evenflow", Fused(), (16, 20, 4), steps=20)
    opened(page, address, "fused?view=time")
    expect(page.locator(".card").first).to_contain_text("Over 20 time steps the gradient gains")


def test_a_forecast_beside_what_was_measured(page: Page, address: str, folder: Path) -> None:
    model = torch.nn.Sequential(
        *(layer for _ in range(8) for layer in (torch.nn.Linear(8, 8), torch.nn.Sigmoid()))
    )
    save(evenflow.preflight(model, (16, 8)), folder / "foreseen.evenflow")
    trained(folder / "deep.evenflow", model, (16, 8))
    opened(page, address, "deep")
    page.get_by_role("tab", name="Forecast").click()
    expect(page.locator(".foreseen polyline")).to_have_count(2)
    expect(page.locator(".card table tbody tr")).to_have_count(16)


def test_a_layers_sizes_readings_and_dead_units(page: Page, address: str, folder: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.ReLU(), torch.nn.Linear(12, 2))
    with torch.no_grad():
        model[0].bias[:5] = -50.0  # type: ignore[index]
    trained(folder / "dead.evenflow", model, (16, 8), steps=12)
    opened(page, address, "dead?site=2")
    panel = page.locator(".panel")
    expect(panel).to_contain_text("5 of 12 units got no gradient")
    expect(panel.locator(".bins").first).to_be_visible()
    page.goto("about:blank")
    opened(page, address, "dead?site=1")
    expect(panel.locator(".sizes polyline").first).to_be_visible()


def test_another_picture_grows_with_its_own_columns(page: Page, address: str, folder: Path) -> None:
    from .runs import channels, reading, writer

    made, layout = writer(folder / "grows.evenflow"), channels(4, "delta", "rms")
    for step in range(3):
        made.reading(reading(layout, step, 4))
    made.flush()
    opened(page, address, "grows")
    page.get_by_label("Show", exact=True).select_option("rms")
    expect(page.locator(".hint").first).to_contain_text("root mean square")
    for step in range(3, 9):  # x of 1 everywhere: were it read as δ, it were the palette's end
        made.reading(reading(layout, step, 4))
    made.flush()
    until(page, 8)
    expect(page.locator(".tip")).to_have_text(re.compile(r"step 8 · rms 1$"))
    made.close()


def test_a_run_that_was_opened_before_its_first_sample(
    page: Page, address: str, folder: Path
) -> None:
    from .runs import channels, reading, writer

    made, layout = writer(folder / "early.evenflow"), channels(4, "delta")
    made.flush()
    opened(page, address, "early")
    assert page.locator(".legend canvas").count() == 0
    for step in range(3):
        made.reading(reading(layout, step, 4))
    made.flush()
    expect(page.locator(".legend canvas")).to_be_visible(timeout=10_000)
    for step in range(3, 9):
        made.reading(reading(layout, step, 4))
    made.flush()
    until(page, 8)
    made.close()


def test_two_browsers_at_once(browser: Browser, address: str) -> None:
    pages = [browser.new_context().new_page() for _ in range(2)]
    for page, name in zip(pages, ("sick", "well"), strict=True):
        page.goto(f"{address}#/run/{name}")
    for page, name in zip(pages, ("sick", "well"), strict=True):
        expect(page.locator("h1")).to_have_text(name)
        expect(page.locator(".legend canvas")).to_be_visible()
        page.context.close()


def test_a_report_is_the_same_views_in_one_file(browser: Browser, tmp_path: Path) -> None:
    run = load(trained(tmp_path / "branches.evenflow", Branches(), (16, 8)))
    (tmp_path / "r.html").write_text(html(run, diagnose(run)), encoding="utf-8")
    page, asked, wrong = browser.new_page(), list[str](), list[str]()
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto((tmp_path / "r.html").as_uri())
    views = page.locator("#views")
    expect(views.locator(".legend canvas")).to_be_visible()
    canvas = views.locator(".heat canvas")
    tall = float(canvas.evaluate("c => c.clientHeight"))
    canvas.hover(position={"x": 100, "y": tall - 4})
    expect(views.locator(".tip")).to_contain_text("step")
    views.get_by_label("Show", exact=True).select_option("rms")
    expect(views.locator(".hint").first).to_contain_text("root mean square")
    views.locator(".labels button", has_text="linear").first.click()
    expect(views.locator(".panel table.readings")).to_contain_text("delta")
    views.get_by_role("tab", name="Network").click()
    expect(views.locator(".node").first).to_be_visible()
    with page.expect_download():
        views.get_by_role("tab", name="Layers × steps").click()
        views.get_by_label("Save as ...").select_option("CSV")
    own = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert own == [(tmp_path / "r.html").as_uri()] and wrong == []
    page.close()


def test_a_report_of_two_runs_has_one_scale(browser: Browser, tmp_path: Path) -> None:
    a, b = (
        load(written(tmp_path / f"{n}.evenflow", sites=12, fall=f))
        for n, f in (("a", 0.1), ("b", 1.0))
    )
    (tmp_path / "two.html").write_text(
        pair_html((a, diagnose(a)), (b, diagnose(b))), encoding="utf-8"
    )
    page = browser.new_page()
    page.goto((tmp_path / "two.html").as_uri())
    expect(page.locator("#views .pair canvas.wide")).to_have_count(2)
    expect(page.locator("#views .pair .legend").last).to_contain_text("exactly zero")
    scales = page.locator("#views .pair .legend").all_text_contents()
    assert scales[0] == scales[1]
    between = page.get_by_role("img", name="Difference")
    between.hover(position={"x": 50, "y": 3})
    expect(page.locator("#views")).to_contain_text(
        re.compile(r"layers\.0\.1 linear · step \d+ · −")
    )
    page.close()
