"""The demo shows what it promises."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import evenflow
from evenflow.cli import main

#: What each of the demo's networks must be told, at the least.
TOLD = {"sigmoid": {"EF101"}, "relu": {"EF202", "EF501", "EF703"}, "rnn": {"EF102"}}
#: The fault that was planted: it must be said first, before what it brings about.
PLANTED = {"sigmoid": {"EF101"}, "relu": {"EF501", "EF703"}, "rnn": {"EF102"}}


def test_four_networks_three_sick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "sigmoid.evenflow").write_text("of an earlier demo")
    began = time.process_time()
    assert main(["demo", "--out", str(tmp_path / "d")]) == 0
    assert time.process_time() - began < 120
    out = capsys.readouterr().out
    for name in (*TOLD, "residual"):
        assert str(tmp_path / "d" / f"{name}.html") in out
        assert (tmp_path / "d" / f"{name}.html").stat().st_size > 10_000
        findings = evenflow.diagnose(tmp_path / "d" / f"{name}.evenflow")
        codes = {f.code for f in findings}
        if name in TOLD:
            assert TOLD[name] <= codes, name
            assert findings[0].code in PLANTED[name], [f.code for f in findings]
            # one gradient cannot vanish and explode on the same way
            assert not {"EF101", "EF102"} <= codes, name
            assert evenflow.verdict(findings) == "sick"
        else:
            assert evenflow.verdict(findings) == "healthy", codes
