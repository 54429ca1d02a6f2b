"""The network that is stepped on the page: its numbers are those of `evenflow step`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect

from evenflow import views
from evenflow.cli.app import main
from evenflow.lessons import parse_net, walked

EXAMPLES = Path(__file__).parents[2] / "examples"
NETS = json.loads(files(views.__name__).joinpath("assets", "nets.json").read_text("utf-8"))


def close(ours: Any, theirs: Any) -> bool:
    """The same numbers in the same nesting, within 1e-12."""
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(close, ours, theirs))
    return bool(abs(ours - theirs) <= 1e-12 * max(1.0, abs(theirs)))


def told(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("window.evenflowStep()")
    return found


def same(page: Page, step: dict[str, Any]) -> None:
    """All numbers of an update."""
    here = told(page)
    assert close(here["z"], [layer["z"][0] for layer in step["forward"]])
    assert close(here["a"][1:], [layer["a"][0] for layer in step["forward"]])
    assert close(here["error"], step["loss"])
    assert close(here["delta"], [d[0] for d in (*step["hidden_errors"], step["output_error"])])
    for ours, theirs in zip(here["gradients"], step["gradients"], strict=True):
        assert close(ours["W"], theirs["W"]) and close(ours["b"], theirs["b"])


def stages(net: dict[str, Any]) -> int:
    return 2 * len(net["layer"]) + 3


@pytest.mark.parametrize("name", NETS)
def test_each_update_is_that_of_the_command(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}#/step?net={name}")
    expect(page.locator(".hand")).to_be_visible()
    steps = walked(parse_net(NETS[name] | {"steps": 4, "mode": "online"})).as_dict()["steps"]
    for i, step in enumerate(steps):
        assert told(page)["updates"] == i
        same(page, step)
        for _ in range(stages(NETS[name])):
            page.keyboard.press("ArrowRight")
    for ours, theirs in zip(told(page)["layers"], steps[-1]["layers"], strict=True):
        assert close(ours["W"], theirs["W"])


def test_a_weight_is_changed_and_the_numbers_follow(page: Page, address: str) -> None:
    page.goto(f"{address}#/step?net=one-hidden-layer")
    page.get_by_role("button", name="W1[1,2] 0.3").focus()
    page.keyboard.press("Enter")
    page.get_by_label("W1[1,2] =").fill("-1.25")
    page.get_by_label("W1[1,2] =").press("Enter")
    changed = json.loads(json.dumps(NETS["one-hidden-layer"]))
    changed["layer"][0]["W"][0][1] = -1.25
    (step,) = walked(parse_net(changed | {"mode": "online"})).as_dict()["steps"]
    same(page, step)
    page.get_by_role("button", name="Step on").click()
    expect(page.locator(".formulas")).to_contain_text("z1[1] = 0.5 · 1 + −1.25 · 2 + 0.1 = −1.9")
    page.get_by_role("button", name="Step back").click()
    expect(page.locator(".formulas")).to_contain_text("x = (1, 2)")


def test_back_over_an_update_takes_it_back(page: Page, address: str) -> None:
    page.goto(f"{address}#/step?net=one-hidden-layer")
    expect(page.locator(".hand")).to_be_visible()
    before = told(page)["layers"]
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    assert told(page)["layers"] != before and told(page)["updates"] == 1
    page.keyboard.press("ArrowLeft")
    assert told(page)["layers"] == before and told(page)["updates"] == 0


@pytest.mark.parametrize("lang, said", [("en", "Step on"), ("ru", "Шаг вперёд"), ("zh", "下一步")])
def test_one_file_in_each_language(browser: Browser, tmp_path: Path, lang: str, said: str) -> None:
    out = tmp_path / "net.html"
    argv = ["step", str(EXAMPLES / "one_hidden_layer.toml"), "--lang", lang, "-o", str(out)]
    assert main(argv) == 0
    page, asked = browser.new_page(), list[str]()
    page.on("request", lambda r: asked.append(r.url))
    page.goto(out.as_uri())
    page.get_by_role("button", name=said).click()
    expect(page.locator(".formulas")).to_contain_text("z1[1] = 0.5 · 1 + 0.3 · 2 + 0.1 = 1.2")
    assert asked == [out.as_uri()]
    page.close()


def test_the_networks_of_the_page_are_the_lessons() -> None:
    from evenflow.lessons import REGISTRY, read_net

    nets = {name: lesson.net() for name, lesson in REGISTRY.items() if lesson.net is not None}
    nets["classes"] = read_net(EXAMPLES / "classes.toml")
    assert list(NETS) == list(nets)
    for name, net in nets.items():
        assert net.as_dict() == NETS[name]


def test_a_lesson_in_one_file_has_its_network(browser: Browser, tmp_path: Path) -> None:
    out = tmp_path / "lesson.html"
    argv = ["explain", "--lesson", "one-hidden-layer", "-o", str(out)]
    assert main(argv) == 0
    page, asked = browser.new_page(), list[str]()
    page.on("request", lambda r: asked.append(r.url))
    page.goto(out.as_uri())
    expect(page.locator(".lesson h2").first).to_have_text("Why ½")
    page.get_by_role("button", name="Step on").click()
    expect(page.locator(".formulas")).to_contain_text("a1[1] = relu(1.2) = 1.2")
    assert asked == [out.as_uri()]
    page.close()
