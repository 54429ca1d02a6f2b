"""`docs/miniature.md` quotes the file: its code is the file's own, and its example runs."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

from evenflow import miniature

PAGE = Path(__file__).parents[2] / "docs/miniature.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(
    r"<!-- run by the tests -->\n```python\n(.*?)```.*?^```\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def quoted(page: str) -> list[str]:
    """Every block of code but the example."""
    return BLOCK.findall(EXAMPLE.sub("", page))


def strangers(page: str, source: str) -> list[str]:
    """Quoted blocks that are no whole lines of the file."""
    return [block for block in quoted(page) if f"\n{block}" not in source]


def untold(page: str, source: str) -> set[str]:
    """Functions and classes of the file that the page does not quote."""
    tree = ast.parse(source)
    there = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    told = re.findall(r"^(?:def|class) (\w+)", "\n".join(quoted(page)), re.MULTILINE)
    return there - set(told)


def test_the_page_quotes_the_file() -> None:
    page = PAGE.read_text(encoding="utf-8")
    source = Path(miniature.__file__).read_text(encoding="utf-8")
    assert len(quoted(page)) >= 15
    assert strangers(page, source) == []
    # three activations' helpers stand for themselves
    assert untold(page, source) == {"softplus", "normal", "sech2"}


def test_a_page_that_is_not_in_step_is_noticed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    source = Path(miniature.__file__).read_text(encoding="utf-8")
    changed = source.replace("Gradient(d @ a.T, d.sum(1))", "Gradient(d @ a.T, d.mean(1))")
    assert changed != source
    assert ["def gradients" in block for block in strangers(page, changed)] == [True]
    assert "forgotten" in untold(page, source + "\n\ndef forgotten() -> None: ...\n")


def test_the_example_prints_what_the_page_says() -> None:
    found = EXAMPLE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    code, said = found.groups()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(PAGE), "exec"), {})
    why, epochs, *answers = re.findall(r"[a-z]+|\d+(?:\.\d+)?", out.getvalue())
    there = re.findall(r"[a-z]+|\d+(?:\.\d+)?", said)
    # another processor's exp may differ in the last bit, and 200 epochs make more of that
    assert why == there[0] == "error" and int(epochs) == pytest.approx(int(there[1]), abs=5)
    assert list(map(float, answers)) == pytest.approx(list(map(float, there[2:])), abs=0.02)


def test_links_of_the_page_lead_somewhere() -> None:
    words = BLOCK.sub("", PAGE.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#]+)", words)
    assert len(targets) >= 4
    for target in targets:
        assert (PAGE.parent / target).exists(), target
