"""A page in a real browser, Debian's Chromium driven by Playwright, and the server behind it.

A module that uses these has a fixture `folder` of its own: the folder that is served.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MISSING = "NO CHROMIUM: the page is not tested (apt-get install chromium)"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Of `evenflow ui`, in a process of its own."""
    command = (sys.executable, "-m", "evenflow", "ui", str(folder), "--port", "0", "--lang", "en")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        assert served.stderr is not None
        found = re.search(r"http://\S+", served.stderr.readline())
        assert found is not None
        yield found[0]
        served.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own loop's, at the end
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that fails the test on any error, and counts requests that leave this machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    made, wrong, left = context.new_page(), list[str](), list[str]()
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    made.on("dialog", lambda dialog: wrong.append(f"a script ran: {dialog.message}"))

    def gate(route: Route) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    context.route("**/*", gate)
    yield made
    context.close()
    assert wrong == [] and left == []
