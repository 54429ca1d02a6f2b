"""The guides run: each section of docs/extending.md, from top to bottom, in its own process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from patience import HANG

ROOT = Path(__file__).parents[1]
PARTS = re.split(r"^## (?=An? )", (ROOT / "docs/extending.md").read_text("utf-8"), flags=re.M)[1:]
SECTIONS = {part.partition("\n")[0]: part for part in PARTS}
#: Files of the package that whoever adds one writes in, beside its test and its pair in the zoo.
MOST = 3

each = pytest.mark.parametrize("head", SECTIONS)


def python(section: str) -> str:
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S))


def test_there_are_guides() -> None:
    assert {"A rule", "A treatment"} <= set(SECTIONS)
    assert all(python(section) for section in SECTIONS.values())


@each
def test_the_section_runs(head: str, tmp_path: Path) -> None:
    script = tmp_path / "section.py"
    script.write_text(python(SECTIONS[head]), "utf-8")
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr


@each
def test_few_files_are_touched(head: str) -> None:
    files = set(re.findall(r"src/evenflow/[\w/]+\.py", SECTIONS[head]))
    assert len(files) <= MOST, files
    new = [f for f in files if not (ROOT / f).exists()]
    stems = {Path(f).stem for f in new}
    assert len(stems) <= 1, f"only the new ones, of one name, are not there yet: {new}"
