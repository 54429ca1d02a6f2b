"""The terminal report and the JSON."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from evenflow.report import as_json, text
from evenflow.report.terminal import strip
from evenflow.schema import Channel, Finding, Run, Severity

from .runs import chain, empty, evil, finding


def printed(run: Run, findings: list[Finding], encoding: str = "utf-8", width: int = 100) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    text(run, findings, Console(file=stream, width=width))
    stream.flush()
    raw: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return raw.decode(encoding)


def test_it_says_verdict_what_where_evidence_and_advice_plainly() -> None:
    said = printed(chain(), [finding("EF205", Severity.warning), finding()])
    assert "\x1b" not in said
    assert said.splitlines()[0] == "evenflow  SICK  1 error, 1 warning."
    assert "steps 40" in said
    assert said.index("EF101 Vanishing gradient  step 3 to 39") < said.index("EF205")
    assert "layers.1 linear" in said
    assert "also measured: layers 2" in said
    assert "try: Add residual connections" in said
    assert said.count("try: Add residual connections") == 1, "advice is said once"
    assert not any(line != line.rstrip() for line in said.splitlines())


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
