"""The atlas in docs/ is what the generator writes today; pictures are whole and self-contained."""

from __future__ import annotations

import re
import struct
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import activation_pages as docs
import numpy as np
import pytest

from evenflow.activations import ACTIVATIONS, Card, card
from evenflow.activations import figures as draw

FOLDER = Path(__file__).parents[2] / "docs" / "activations"
DRAWN = [name for name, a in ACTIVATIONS.items() if a.f is not None]


def test_the_pages_are_up_to_date() -> None:
    """Run: python tests/activations/activation_pages.py docs/activations"""
    wanted = docs.wanted()
    assert {path.name for path in FOLDER.glob("*.md")} == set(wanted)
    for name, text in wanted.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, name


def test_pages_name_pictures_and_pages_that_exist() -> None:
    for page in FOLDER.glob("*.md"):
        for link in re.findall(r"\]\(([\w./]+)\)", page.read_text(encoding="utf-8")):
            assert (FOLDER / link).exists(), (page.name, link)
    assert {p.stem for p in (FOLDER / "pictures").iterdir()} == set(DRAWN)


def test_writing_removes_what_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "names", lambda: ("relu", "meta_acon"))
    (tmp_path / "pictures").mkdir()
    for old in ("gone.md", "pictures/gone.svg"):
        (tmp_path / old).write_text("old")
    (tmp_path / "mine.txt").write_text("kept")
    docs.write(tmp_path)
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"README.md", "relu.md", "meta_acon.md", "pictures/relu.svg", "mine.txt"}


@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_png_is_a_picture_with_its_lines(name: str) -> None:
    data = draw.png(card(name))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 1200 and height >= 500
    import matplotlib.image

    pixels = matplotlib.image.imread(__import__("io").BytesIO(data))[..., :3]
    for colour in (draw._BLUE, draw._AMBER, draw._RED):
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        assert (np.abs(pixels - rgb).max(-1) < 0.02).sum() > 200, colour


def test_svg_is_one_element_the_same_each_time() -> None:
    first, second = draw.svg(card("elu")), draw.svg(card("elu"))
    assert first == second
    root = ET.fromstring(first)
    assert root.tag.endswith("svg")
    assert "ELU (alpha = 1)" in root.attrib["aria-label"]


def test_the_picture_follows_the_parameters() -> None:
    assert draw.svg(card("elu", alpha=0.5)) != draw.svg(card("elu"))


@pytest.mark.parametrize("name", ["hardtanh", "meta_acon"])
def test_the_page_is_self_contained(name: str) -> None:
    page = draw.page(card(name))
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert ("<svg" in page) == (name != "meta_acon")
    assert not re.search(r"(src|href)=[\"'](?!#)", page)
    assert "url(http" not in page and "<script" not in page
    assert "not computed" in page or "Critical initialisation" in page


def test_markup_is_escaped() -> None:
    nasty = Card("x", "<b>", "a < b & c", "s", "n", (), missing="<i>")
    page = draw.page(nasty)
    assert "<b>" not in page and "<i>" not in page
    assert "a &lt; b &amp; c" in page


def test_a_card_without_curves_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="meta_acon has no curves to draw"):
        draw.png(card("meta_acon"))


@pytest.mark.parametrize("how", [draw.png, draw.svg, draw.page])
def test_without_matplotlib_the_extra_is_named(how, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(draw.NoPictures, match=r"pip install 'evenflow\[pictures\]'"):
        how(card("relu"))
