"""The report of a fit: what it says, and that it needs nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from evenflow.fit.drawing import _linear, _logarithmic, confusion, curves, predictions
from evenflow.fit.judging import Judged
from evenflow.fit.outcome import Applied, FitReport
from evenflow.fit.page import page

REPORT = FitReport(
    stopped="patience",
    epochs=40,
    steps=1200,
    best_epoch=30,
    seconds=1.25,
    errors=tuple(0.7 * 0.9**k for k in range(40)),
    held_out=tuple(0.8 * 0.95**k for k in range(41)),  # before the first epoch, too
    rates=(1e-3,) * 40,
    baseline=0.69,
    treatments=(Applied("lr=*0.3", 3, "EF402: the loss was 9"), Applied("init=lsuv", 0, "why")),
    settings={"hidden": (128, 64), "learning_rate": 0.003},
)
CLASSES = Judged(
    "classification", {"accuracy": 0.75}, np.array(list("aabb")), np.array(list("abbb"))
)
NUMBERS = Judged("regression", {"R²": 0.5}, np.arange(9.0), np.arange(9.0) + 1, {"R²": 0.1})


class Whole(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, name: str, attrs: object) -> None:
        if name not in ("meta", "path", "br"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        if name != "path":
            assert self.open.pop() == name

    def handle_data(self, text: str) -> None:
        self.said += text + " "


def test_losses_of_one_epoch_stand_above_each_other() -> None:
    training, held_out = (
        [float(point.split(",")[0]) for point in points.split()]
        for points in re.findall(r'points="([^"]+)"', curves(REPORT))
    )
    assert (len(training), len(held_out)) == (40, 41)
    assert training == held_out[1:]


@pytest.mark.parametrize("judged", [CLASSES, NUMBERS])
def test_a_page_says_what_was_measured_and_fetches_nothing(judged: Judged) -> None:
    text = page("<b>.csv: y", REPORT, judged, ["Judged on 4 rows held out of 20."])
    said = " ".join(Whole(text).said.split())
    assert "<script" not in text and "http" not in text.replace("http-equiv", "")
    assert "<b>.csv" in said
    for part in (
        "Healthy", "Judged on 4 rows held out of 20.", "Training ended after epoch 40",
        "Kept are the weights of epoch 30", "after epoch 3: lr=*0.3. EF402",
        "at the start: init=lsuv", "128, 64", "0.003", "best constant prediction",
    ):  # fmt: skip
        assert part in said, part
    assert ("0.50 ± 0.10" if judged is NUMBERS else "0.75") in said
    assert len(re.findall("<polyline", text)) == 2


def test_a_network_that_learned_nothing_is_called_sick() -> None:
    flat = FitReport("diverged", 3, 9, 0, 0.1, (0.7, 0.7, float("nan")), (), (1e-3,) * 3, 0.69)
    said = Whole(page("t", flat, CLASSES, [])).said
    assert "Sick" in said and "no better than a constant" in said and "not finite" in said


def test_confusion_counts_and_leaves_out_rare_classes_aloud() -> None:
    cells = re.findall(r"<td[^>]*>(\d+)</td>", confusion(CLASSES))
    assert cells == ["1", "1", "0", "2"]
    many = np.arange(40).repeat(2)
    assert "10 rarer classes are left out" in confusion(Judged("classification", {}, many, many))


def test_every_row_of_a_small_table_is_a_dot_on_the_picture() -> None:
    text = predictions(NUMBERS)
    at = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text)]
    assert len(at) == 9 and all(0 < v < 460 for xy in at for v in xy)
    assert [x for x, _ in at] == sorted(x for x, _ in at)
    wide = Judged("regression", {}, np.arange(4000.0), np.arange(4000.0))
    assert "1,500 of 4,000 rows are drawn" in predictions(wide)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3e5, 7e5), (1e-9, 3e-9), (1, 40)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = _linear(low, high)
    assert 3 <= len(ticks) <= 7 and low <= ticks[0] and ticks[-1] <= high + 1e-12


@pytest.mark.parametrize(("low", "high"), [(-1.0, -0.7), (-8, 3), (0.01, 0.05), (-0.5, 1.2)])
def test_logarithmic_ticks(low: float, high: float) -> None:
    ticks = _logarithmic(low, high)
    assert 2 <= len(ticks) <= 8 and all(low - 1e-9 <= np.log10(t) <= high + 1e-9 for t in ticks)


def test_the_name_of_an_axis_stands_clear_of_its_numbers() -> None:
    ends = np.array([-1.0, 1.0])
    drawn = predictions(replace(NUMBERS, true=ends, predicted=ends))
    texts = re.findall(r'<text x="[^"]+" y="([^"]+)"[^>]*>([^<]+)</text>', drawn)
    (name,) = (float(y) for y, text in texts if text == "predicted")
    high = min(float(y) for y, text in texts if re.fullmatch(r"-?[\d.]+", text))
    assert name <= high - 15  # a line of the largest text that the page gives it
