"""What heal did stands in all three reports, and nothing where it did nothing."""

from __future__ import annotations

import dataclasses
import io
import json

from rich.console import Console

from evenflow.report import as_json, text
from evenflow.schema import HEALS, Event, Intervention, Run
from evenflow.views import html
from evenflow.words import healed, summaries
from evenflow.words.healing import KINDS, MAIN, REASONS

from .runs import EVIL, chain

DONE = (
    Intervention("clip", 20, "outlier-gradient", 0, 20, "head.weight", {"grad_norm": 3e5},
                 {"grad_norm": 1.2}, {"limit": 12.0}),
    Intervention("clip", 31, "outlier-gradient", 0, 31, "head.weight", {"grad_norm": 7e5},
                 {"grad_norm": 1.3}, {"limit": 12.0}),
    Intervention("skip", 40, "non-finite-gradient", 0, 40, "log", {"grad_norm": float("nan")},
                 {"grad_norm": 0.0}, {"parameters": 6.0}, "the data is not finite"),
    Intervention("rollback", 50, "loss-diverged", 0, 51, "", {"loss": 9e4},
                 {"loss": 2.0, "from_step": 10.0}),
    Intervention("lr", 50, "loss-diverged", 0, 51, "", {"lr": 0.1, "factor": 1.0},
                 {"lr": 0.05, "factor": 0.5}),
    Intervention("revive", 60, "dead-units", 0, 62, "layers.3", {"dead": 0.75, "units": 6.0},
                 {"dead": 0.0}, {"batches": 8.0}),
)  # fmt: skip
PARTS = ("→ 1.2", "→ 1.3", "data is not finite", "90,000 → 2", "0.1 → 0.05", "75 %")


def run(*done: Intervention) -> Run:
    return dataclasses.replace(chain(), events=tuple(d.event() for d in done))


def on_terminal(shown: Run) -> str:
    console = Console(file=io.StringIO(), width=100)
    text(shown, [], console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_words_tell_what_where_why_before_and_after() -> None:
    assert {d.kind for d in DONE} == set(HEALS) == set(KINDS) == set(MAIN)
    assert {d.reason for d in DONE} <= set(REASONS)
    said = [healed(d) for d in DONE]
    assert said[0].startswith("step 20: gradient clipped at head.weight, for its norm was far")
    for part, line in zip(PARTS, said, strict=True):
        assert part in line, line
    assert summaries(DONE)[0].startswith("steps 20 to 31: gradient clipped 2 times")
    assert len(summaries(DONE)) == 5 and summaries([]) == []


def test_all_three_reports() -> None:
    shown = run(*DONE)
    assert on_terminal(shown).count("healed: ") == 5
    page = html(shown, [])
    assert "Healed while it ran" in page and page.count("gradient clipped") >= 2
    told = json.loads(json.dumps(as_json(shown, []), allow_nan=False))["healed"]
    assert [t["step"] for t in told] == [20, 31, 40, 50, 50, 60]
    assert told[2]["before"] == {"grad_norm": "NaN"} and "step 40" in told[2]["message"]


def test_nothing_where_nothing_was_done() -> None:
    assert "healed" not in on_terminal(run()) and "Healed" not in html(run(), [])
    assert "healed" not in as_json(run(), [])
    allowed = dataclasses.replace(run(), meta={"heal": "clip"})
    assert as_json(allowed, [])["healed"] == []


def test_a_foreign_file_cannot_inject() -> None:
    event = DONE[0].event()
    detail = {**event.detail, "site": EVIL, "note": EVIL, "reason": EVIL, "did": "skip"}
    shown = dataclasses.replace(chain(), events=(Event("healed", 3, detail),))
    assert "<img" not in html(shown, []) and on_terminal(shown)
