"""Everybody can read and use the page: axe-core finds nothing serious, in any view or scheme."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from evenflow import diagnose, load
from evenflow.views import html, pair_html

from .cures import cure_file, model, model_folder, record
from .runs import written

VIEWS = {
    "step": "#/step?net=one-hidden-layer",
    "cure": "#/cure/train-cure-1",
    "fit": "#/fit/model",
    "runs": "",
    "run": "#/run/sick?site=3",
    "network": "#/run/sick?view=network",
    "compare": "#/compare?a=sick&b=well",
}
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("all")
    written(made / "well.evenflow")
    written(made / "sick.evenflow", sites=24, steps=60, fall=1.0)
    cure_file(made, "train-cure-1", record())
    model_folder(made / "model", model())
    return made


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_the_page(browser: Browser, address: str, view: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{address}{VIEWS[view]}")
    marks = {"runs": "table.runs", "network": ".node", "compare": ".pair canvas.wide"}
    marks |= {"step": ".hand", "cure": ".arms", "fit": ".uplot"}
    expect(page.locator(marks.get(view, ".readings")).first).to_be_visible()
    expect(page.locator(".said, h1").last).not_to_have_text("reading ...")
    assert serious(page) == []
    context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_reports_of_one_file(browser: Browser, tmp_path: Path, scheme: str) -> None:
    runs = [load(written(tmp_path / f"{n}.evenflow", sites=12, fall=n)) for n in (0.1, 1.0)]
    judged = [(run, diagnose(run)) for run in runs]
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for text in (html(*judged[1]), pair_html(judged[0], judged[1])):
        (tmp_path / "report.html").write_text(text, encoding="utf-8")
        page.goto((tmp_path / "report.html").as_uri())
        expect(page.locator("#views canvas").first).to_be_visible()
        assert serious(page) == []
    context.close()
