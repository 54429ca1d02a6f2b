"""The pages of a cure and of a fit in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .cures import cure_file, model, model_folder, record, trial
from .runs import EVIL, written

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Locator, Page, expect


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cures")
    written(made / "train-cure-1-before.evenflow", fall=1.0)
    written(made / "train-cure-1-after.evenflow")
    cure_file(made, "train-cure-1", record())
    evil = {
        key: EVIL for key in ("chosen", "script", "goal", "line")
    } | {key: [EVIL] for key in ("findings", "lines", "notes", "uncontrolled")}  # fmt: skip
    edit = {"treatment": EVIL, "why": EVIL, "code": EVIL}
    arms = [{**each, "stage": EVIL, "ended": [EVIL]} for each in record()["arms"]]
    patch = {"offered": True, "why": EVIL, "diff": EVIL}
    cure_file(made, "evil", record(**evil, edits=[edit], proposed=[edit], arms=arms, patch=patch))
    nothing = {"mean": None, "low": None, "high": None, "per_seed": []}
    cure_file(
        made, "bare",
        record(verdict="uncured", chosen=None, seeds=[], wins=0, before=nothing, after=nothing,
               gain=nothing, arms=[], trials=[trial("watch", None, 0, 90, None)], edits=[],
               refused=[], uncontrolled=[], findings=[], lines=[], notes=[], line=""),
    )  # fmt: skip
    cure_file(made, "broken", '{"schema": 1, "verdict": 3}')
    model_folder(made / "houses-model", model())
    model_folder(
        made / "evil-model",
        {**model(stopped=EVIL, data=EVIL, notes=[EVIL], settings={EVIL: EVIL},
                 findings=[dict.fromkeys(("code", "name", "severity", "message"), EVIL)]),
         "warnings": [EVIL], "metrics": {EVIL: 1.0}, "target": EVIL,
         "columns": [{"name": EVIL, "kind": EVIL, "used": True, "why": EVIL}]},
    )  # fmt: skip
    return made


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def test_the_list_leads_to_a_cure_and_to_a_fit(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("searchbox").fill("rezero")
    expect(page.locator("table.runs tbody tr")).to_have_count(1)
    row = page.locator("table.runs tbody tr", has_text="train-cure-1")
    expect(row).to_contain_text("Cure")
    expect(row).to_contain_text("rezero")
    expect(row.get_by_role("checkbox")).to_have_count(0)
    row.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("train-cure-1")
    page.goto(address)
    page.get_by_role("link", name="houses-model").click()
    expect(page.locator("h1")).to_have_text("houses-model")


def test_a_cure_is_told_in_words_and_numbers(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/train-cure-1")
    expect(page.locator(".head")).to_contain_text("cured, proven over 3 seeds")
    told = card(page, "Treatment")
    for words in (
        "EF101 vanishing-gradient", "train.py:6, 24 × Sigmoid", "rezero", "0.51 [0.48, 0.54]",
        "0.98 [0.95, 1]", "better on 3 of 3 seeds", "0.47 [0.44, 0.5]", "a note",
        "larger is better", "evenflow.treat_(model",
    ):  # fmt: skip
        expect(told).to_contain_text(words)
    expect(card(page, "Refused")).to_contain_text("init=lsuv: no such layer")
    expect(card(page, "As an edit of your script")).to_contain_text("x = x + a * f(x)")
    expect(card(page, "Not controlled")).to_contain_text("the script ignores seeds")
    expect(page.get_by_role("heading", name="Proposed")).to_have_count(0)


def test_each_seed_of_the_proof_is_a_line_that_rises(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/train-cure-1")
    lines = page.locator(".pairs line.better")
    expect(lines).to_have_count(3)
    for i in range(3):
        ends = lines.nth(i).evaluate("l => [l.y1.baseVal.value, l.y2.baseVal.value]")
        assert ends[1] < ends[0]
    expect(card(page, "Proof: each seed before and after").locator("tbody tr")).to_have_count(3)


def test_dots_stand_where_their_numbers_are(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/train-cure-1")
    expect(page.locator(".arm:not(.axis)")).to_have_count(7)
    expect(page.locator(".arm .span")).to_have_count(2)  # the proof's two alone have intervals
    lanes = page.locator(".arm:not(.axis)").evaluate_all(
        "all => all.map((a) => [a.querySelector('.figure').textContent,"
        " a.querySelector('.dot').getBoundingClientRect().left])"
    )
    whole = sorted((float(n), x) for n, x in (lanes[0], *lanes[3:]))
    assert [x for _, x in whole] == sorted(x for _, x in whole)
    assert whole[-1][1] - whole[0][1] > 100


def test_the_table_is_sorted_by_stage_and_by_goal(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/train-cure-1")
    first = page.locator("table.tried tbody tr").first
    expect(first).to_contain_text("watch")
    page.locator("table.tried").get_by_role("button", name="acc").click()
    expect(first).to_contain_text("confirm")
    expect(first).to_contain_text("[0.96, 1]")
    expect(page).to_have_url(re.compile("sort=goal"))
    page.reload()
    expect(first).to_contain_text("confirm")
    expect(page.locator("table.tried tbody tr").last).to_contain_text("screen")


def test_curves_of_both_and_the_way_to_the_two_runs(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/train-cure-1")
    both = card(page, "Loss before and after, on the same seed")
    expect(both.locator("canvas")).to_be_visible()
    expect(both.locator(".legend")).to_have_text("beforeafter")
    page.get_by_role("link", name="Compare the layers").click()
    expect(page.locator(".pair canvas.wide")).to_have_count(2)
    page.go_back()
    page.get_by_role("link", name="The run after").click()
    expect(page.locator("h1")).to_have_text("train-cure-1-after")


def test_a_cure_without_a_proof_claims_none(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/bare")
    expect(page.locator(".head")).to_contain_text("nothing that was tried is better")
    expect(page.locator(".pairs, .arm, .links")).to_have_count(0)


def test_a_record_that_cannot_be_read_is_said(page: Page, address: str, browser: Browser) -> None:
    made = browser.new_page()  # its console tells of the status 422
    made.goto(f"{address}#/cure/broken")
    expect(made.get_by_role("alert")).to_have_text("record.verdict is not a text")
    made.close()
    page.goto(address)
    expect(page.locator("tr", has_text="broken")).to_contain_text("Unreadable")


def test_a_fit_its_curves_and_what_it_reads(page: Page, address: str) -> None:
    page.goto(f"{address}#/fit/houses-model")
    expect(page.locator(".head")).to_contain_text("The network learned: its loss is 0.125")
    curves = card(page, "Learning curves")
    expect(curves.locator("canvas")).to_have_count(2)
    expect(curves).to_contain_text("training rowsvalidation rowsbest constant prediction")
    expect(curves).to_contain_text("the weights of epoch 30 of 40: no better epoch came.")
    expect(card(page, "Result")).to_contain_text(
        "Loss of a row held out: 0.2; of guessing there: 0.9"
    )
    expect(card(page, "What was seen and done")).to_contain_text("epoch 4: lr=*0.3. it left")
    columns = page.locator("table tbody tr")
    expect(columns).to_have_count(2)
    expect(columns.last).to_contain_text("it counts the rows")
    expect(card(page, "Settings")).to_contain_text("128, 128")


@pytest.mark.parametrize("where", ["cure/evil", "fit/evil-model"])
def test_markup_in_a_record_is_text(page: Page, address: str, where: str) -> None:
    page.goto(f"{address}#/{where}")
    expect(page.locator(".head .badge")).to_be_visible()
    expect(page.locator("main")).to_contain_text("<img src=x")
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_small_screen(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    made = context.new_page()
    for where in ("cure/train-cure-1", "cure/evil", "fit/houses-model", "fit/evil-model", ""):
        made.goto(f"{address}#/{where}")
        expect(made.locator("h1")).to_be_visible()
        made.wait_for_timeout(300)
        assert made.evaluate("document.documentElement.scrollWidth") <= 390, where
    context.close()


def test_languages(page: Page, address: str) -> None:
    page.goto(f"{address}#/cure/train-cure-1")
    page.get_by_label("Language").select_option("ru")
    expect(page.locator(".head")).not_to_contain_text("cured, proven over 3 seeds")
