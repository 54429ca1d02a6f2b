"""README.md tells the truth: its tables and its output are made from the real thing.

`python tests/cli/test_cli_docs.py` writes them anew.
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from programs import EVENFLOW, run

from evenflow.faults import REGISTRY

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OUTPUT = "<!-- output of: evenflow run examples/deep_sigmoid.py -->"
RULES = "<!-- rules: written by tests/cli/test_cli_docs.py from the registry -->"


def section(text: str, mark: str) -> str:
    return text.split(f"{mark}\n")[1].split("<!-- end -->")[0]


def rules_table() -> str:
    lines = ["| code | name | what it says |", "|---|---|---|"]
    for code, rule in sorted(REGISTRY.items()):
        said = inspect.cleandoc(rule.__doc__ or "").split("\n")[0].rstrip(".")
        lines.append(f"| [{code}](docs/rules/{code}-{rule.name}.md) | {rule.name} | {said} |")
    return "\n".join(lines) + "\n"


def real_output(folder: Path, **environment: str) -> str:
    (folder / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "deep_sigmoid.py", folder / "examples")
    done = run((*EVENFLOW, "run", "examples/deep_sigmoid.py"), folder, **environment)
    assert done.returncode == 0, done.stderr
    lines = [line.rstrip() for line in (done.stdout + done.stderr).strip().split("\n")]
    return "```console\n$ evenflow run examples/deep_sigmoid.py\n" + "\n".join(lines) + "\n```\n"


def codes(output: str) -> list[str]:
    """Of the findings, the cause first; steps and figures may move a little."""
    return re.findall(r"^(?:(?:error|warning|info) +|  then )(EF\d+) ", output, re.MULTILINE)


def test_the_rules_table_is_the_registry() -> None:
    assert section(README.read_text(), RULES) == rules_table(), "run: python " + __file__


def test_the_output_shown_is_what_it_says_today(tmp_path: Path) -> None:
    shown = section(README.read_text(), OUTPUT)
    # a fixed cadence: under "auto" a busy machine has less time for samples
    again = real_output(tmp_path, EVENFLOW_EVERY="10")
    assert codes(again) == codes(shown) == ["EF101", "EF205", "EF401"], "run: python " + __file__
    said = again.partition("evenflow  SICK")[2].splitlines()
    assert len(said) <= 25 and max(map(len, said)) <= 100
    assert "  examples/deep_sigmoid.py:28 in main, 19 × Sigmoid" in said
    first = next(line for line in said if line.startswith("  try: "))
    assert "[init=lsuv-centred]" in "".join(said[said.index(first) : said.index(first) + 2])


def test_every_command_and_option_is_in_the_readme() -> None:
    from test_cli_surface import SURFACE

    text = README.read_text()
    for command, parameters in SURFACE.items():
        assert f"evenflow {command}" in text
        for name, variable in parameters.items():
            if command == "run" and name.startswith("--"):
                assert name in text, name
                assert variable == "EVENFLOW_" + name[2:].upper().replace("-", "_")


def test_what_the_readme_promises_can_be_run() -> None:
    """Files that its commands name exist; the offline claim holds."""
    text = README.read_text()
    for path in re.findall(r"(?:pytest|python) ((?:tests|benchmarks)/[\w./]+)", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\((\w[\w./-]+)\)", text):
        assert (ROOT / path).exists(), path
    asks = r"^\s*(?:import|from) (socket|urllib\.request|http\.client|requests|httpx2?)\b"
    for source in (ROOT / "src").rglob("*.py"):
        listens = source.name == "serving.py"  # to this machine's own browser, and asks nobody
        found = re.findall(asks, source.read_text(), re.MULTILINE)
        assert found == (["socket"] if listens else []), source


@pytest.mark.parametrize("name", ["watch.py"])
def test_examples_run(name: str, tmp_path: Path) -> None:
    done = run((sys.executable, str(ROOT / "examples" / name)), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "EF501" in done.stdout
    assert (tmp_path / "evenflow-runs" / "breast-cancer.html").exists()


if __name__ == "__main__":
    text = README.read_text()
    with tempfile.TemporaryDirectory() as folder:
        text = text.replace(section(text, OUTPUT), real_output(Path(folder)))
    text = text.replace(f"{RULES}\n{section(text, RULES)}", f"{RULES}\n{rules_table()}")
    README.write_text(text)
