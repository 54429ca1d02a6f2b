"""What a reader of the page sees, for its tests."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def latest(page: Page) -> int:
    """The step at the right end of the picture, by pointing at it; -1 where none is told."""
    box = page.locator(".heat canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 5)
    text = page.locator(".tip").text_content() or ""
    return int(text.split("step ")[1].split(" ")[0].replace(",", "")) if "step " in text else -1


def until(page: Page, step: int) -> None:
    """Wait until the picture has come to this step."""
    for _ in range(40):
        if latest(page) == step:
            break
        page.wait_for_timeout(250)
    expect(page.locator(".tip")).to_contain_text(f"step {step}")
