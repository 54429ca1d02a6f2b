"""The terminal report and the JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from evenflow.report import as_json, text
from evenflow.report.terminal import strip
from evenflow.schema import Channel, Finding, Run, Severity, Where

from .runs import chain, empty, evil, finding


def printed(
    run: Run,
    findings: list[Finding],
    encoding: str = "utf-8",
    width: int = 100,
    verbose: bool = False,
) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text(run, findings, Console(file=stream, width=width), verbose=verbose)
    stream.flush()
    raw: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return raw.decode(encoding)


def test_a_fault_is_told_once_its_cause_first() -> None:
    said = printed(chain(), [finding("EF205", Severity.warning), finding()])
    assert "\x1b" not in said
    assert said.splitlines()[0] == "evenflow  SICK  1 error, 1 warning: one fault."
    assert "steps 40" in said
    assert said.index("EF101 Vanishing gradient  step 3 to 39") < said.index(
        "then EF205 All inputs"
    )
    assert "layers.1 linear" in said
    assert "Why: each layer's activation passes on only part of the gradient" in said
    assert said.count("try: ") == 1 and said.count("Add residual connections") == 1
    assert "also measured" not in said and "treat_:" not in said
    assert not any(line != line.rstrip() for line in said.splitlines())


def test_verbose_tells_each_finding_with_all_its_evidence() -> None:
    said = printed(chain(), [finding("EF205", Severity.warning), finding()], verbose=True)
    assert said.index("EF101 Vanishing gradient  step 3 to 39") < said.index(
        "EF205 All inputs look"
    )
    assert said.count("also measured: layers 2") == 2
    assert said.count("Chain: ") == 2 and "Why:" not in said


def test_notes_take_a_line_each() -> None:
    noted = finding("EF805", Severity.info, cause="", chain=(), evidence={}, threshold={})
    said = printed(chain(), [noted])
    (line,) = [line for line in said.splitlines() if line.startswith("info")]
    assert line.startswith("info  EF805 The network, or its norms, are trained in evaluation mode")
    assert "try: " not in said


LINES = {
    "folder": "/nowhere",
    "source": {"train.py": {"7": "    for _ in range(9):", "8": "\t\tx = f(x)  # 层", "9": ""}},
}


def at_line(**more: Any) -> Where:
    return Where("called", "train.py", 8, "Net.forward", **{"column": 7, "end": 11, **more})


def test_the_line_is_shown_with_a_caret_under_the_call() -> None:
    run = replace(chain(), meta={**chain().meta, **LINES})
    said = printed(run, [finding(where=(at_line(turn=7, turns=20, what="Linear"),))]).splitlines()
    at = next(i for i, line in enumerate(said) if line.startswith("  train.py:8"))
    assert said[at : at + 5] == [
        "  train.py:8 in Net.forward, 7th of 20 × Linear",
        "    7 │ for _ in range(9):",
        "    8 │     x = f(x)  # 层",
        "      │         ^^^^",
        "    9 │",
    ]


def test_without_its_text_a_line_is_named_alone() -> None:
    said = printed(chain(), [finding(where=(at_line(),))])
    assert "  train.py:8 in Net.forward\n" in said and "│" not in said


def test_python_3_10_knows_no_columns() -> None:
    run = replace(chain(), meta={**chain().meta, **LINES})
    said = printed(run, [finding(where=(at_line(column=0, end=0),))])
    assert "      │     ^^^^^^^^^^^^^^\n" in said


def test_a_line_in_ascii_and_in_a_narrow_terminal() -> None:
    run = replace(chain(), meta={**chain().meta, **LINES})
    said = printed(run, [finding(where=(at_line(),))], encoding="ascii", width=20)
    assert "    8 |     x = f(x)\n" in said and "      |         ^^^^\n" in said


def test_healthy_and_empty() -> None:
    assert "HEALTHY  No fault was found: every layer learns." in printed(chain(), [])
    assert printed(empty(), []).strip() == (
        "evenflow  NOT JUDGED  Nothing was measured: no training step was seen."
    )


def test_names_are_not_read_as_markup() -> None:
    run, found = evil()
    assert "[red]" in printed(run, found)


def test_an_ascii_terminal_gets_ascii_bars() -> None:
    said = printed(chain(8), [], encoding="ascii")
    assert "rms of delta" in said
    assert "\n  12345678\n" in said


def test_the_strip_rises_with_the_gradient() -> None:
    head, bars, ends = strip(chain(8), True, 60)
    assert head.endswith("at the latest step, from 1e-9.7 (low) to 1e-2.7 (high)")
    assert bars.strip() == "▁▂▃▄▅▆▇█"
    assert ends.strip() == "layers.1 linear … layers.8 linear"
    assert len(strip(chain(300, 2), True, 60)[1]) == 62


def test_the_strip_tells_zero_and_not_finite() -> None:
    run = chain(4, 2)
    columns = dict(run.columns)
    columns[Channel("site", 1, "delta")] = np.zeros(2)
    columns[Channel("site", 2, "delta_nonfinite")] = np.ones(2)
    run = empty(sites=run.sites, steps=run.steps, columns=columns)
    head, bars, _ = strip(run, True, 60)
    assert bars.strip() == "0!▁█"
    assert head.endswith("(high), 0 exactly zero, ! not finite")
    broken = {Channel("site", i, "delta"): np.full(2, np.inf) for i in (1, 2)}
    run = empty(sites=run.sites, steps=run.steps, columns=broken)
    assert strip(run, True, 60)[1].strip() == "!!"
    assert strip(empty(), True, 60) == []


@pytest.mark.parametrize("value", [1.5, np.nan, np.inf, -np.inf])
def test_json_holds_any_number_and_reads_back(value: float) -> None:
    given = finding(evidence={"a": value}, message="said")
    page = json.loads(json.dumps(as_json(chain(), [given]), allow_nan=False))
    assert page["schema"] == 1
    assert page["run"] == "chain"
    assert page["verdict"] == "sick"
    assert page["sites"] == {"1": "Net.layers.1 linear", "2": "Net.layers.2 linear"}
    (back,) = [Finding.from_dict(item) for item in page["findings"]]
    np.testing.assert_equal(back.evidence["a"], value)
    assert back.as_dict() | {"evidence": 0} == given.as_dict() | {"evidence": 0}


def test_json_fills_in_the_message() -> None:
    (item,) = as_json(chain(), [finding()])["findings"]
    assert item["message"].startswith("The gradient vanishes")
    assert as_json(chain(), [])["verdict"] == "healthy"
