"""docs/ledger.md: its program runs and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"


def test_the_page_shows_what_its_program_prints(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    program = text.split("```python\n")[1].split("```")[0]
    shown = text.split("```text\n")[1].split("```")[0].strip().split("\n")
    exec(compile(program, str(PAGE), "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.split("\n")
    for line, real in zip(shown, printed, strict=False):
        assert re.sub(r"[\d.]+", "#", line) == re.sub(r"[\d.]+", "#", real.rstrip())
        for told, measured in zip(*(re.findall(r"\d+\.\d", x) for x in (line, real)), strict=True):
            assert float(told) == pytest.approx(float(measured), abs=0.11)
