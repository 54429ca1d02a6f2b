"""The page: self-contained, safe against what users name things, small, true to the numbers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from evenflow.schema import Channel, Event, Finding, Link, Parameter, Run, Severity, Site
from evenflow.views import html
from evenflow.views.pyramid import BROKEN, MISSING, TOP, ZERO

from .runs import EVIL, chain, empty, evil, finding

VOID = {"meta", "br", "img", "link", "input", "base"}


class Page(HTMLParser):
    """Tags in order, their attributes, and all text; fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    @property
    def kept(self) -> dict[str, Any]:
        """What the page keeps of its one run."""
        told = json.loads(zlib.decompress(base64.b64decode(self.scripts[0])))
        (run,) = told["runs"].values()
        return dict(run)

    def grid(self, picture: str) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
        """A picture's head, and its codes of the least values."""
        packed = zlib.decompress(base64.b64decode(self.kept["grids"][picture]))
        length = int.from_bytes(packed[:4], "little")
        head = json.loads(packed[4 : 4 + length])
        codes = np.frombuffer(packed[4 + length :], np.uint8)
        shape = len(head["rows"]), head["columns"]
        return head, codes[: shape[0] * shape[1]].reshape(shape)


def test_it_asks_nothing_of_the_network() -> None:
    text = html(chain(), [finding()])
    page = Page(text)
    said = re.sub(r"(^|\s)//.*", "", text)  # but for comments
    assert set(re.findall(r"https?:[^\s\"']*", said)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\((?!#)|XMLHttpRequest|import\(", text)
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(a["content"] for t, a in page.tags if "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; img-src data: blob:"
    ), "nothing can be fetched"


def test_names_never_become_markup() -> None:
    plain = Page(html(chain(3, 5), []))
    page = Page(html(*evil()))
    kinds = [tag for tag, _ in page.tags]
    assert kinds.count("script") == 2
    assert "img" not in kinds
    assert len(page.scripts) == 2
    assert page.scripts[1] == plain.scripts[1], "the policy's hash allows our script alone"
    assert all("onerror" not in attributes for _, attributes in page.tags)
    shown = EVIL.replace("\ud800", "?")
    assert shown.split("&")[0] in page.text
    assert any("onerror=alert(1)" in site["name"] for site in page.kept["summary"]["sites"])


def test_what_is_linked_is_there() -> None:
    page = Page(html(chain(), [finding(), finding("EF205", Severity.warning)]))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if tag == "a":
            assert (attributes["href"] or "")[1:] in ids
        for key in ("aria-labelledby",):
            if key in attributes:
                assert attributes[key] in ids


def test_a_sick_run_says_what_where_since_when_why_and_what_to_do() -> None:
    page = Page(html(chain(), [finding("EF401", Severity.warning), finding()]))
    text = page.text
    assert "Sick" in text
    assert "1 error, 1 warning: one fault." in text
    assert text.index("Vanishing gradient") < text.index("Loss is stuck"), "worst first"
    assert "step 3 to 39" in text
    assert "layers.1 linear" in text
    assert "smaller than near the loss by a factor of 1e5 (threshold a factor of 1,000)" in text
    assert "Frozen" in text
    assert "residual connections" in text
    assert "2 → 0.05" in text
    assert "SGD (lr 0.1)" in text


def test_a_healthy_run_and_an_empty_one() -> None:
    assert "Healthy No fault was found: every layer learns." in Page(html(chain(), [])).text
    page = Page(html(empty(), []))
    assert "Not judged Nothing was measured: no training step was seen." in page.text
    assert page.scripts == [page.scripts[-1]], "nothing to draw"


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf])
def test_runs_of_one_value_only(value: float) -> None:
    run = chain(3, 4)
    columns = {channel: np.full(4, value) for channel in run.columns}
    run = empty(
        sites=run.sites,
        params=run.params,
        steps=run.steps,
        columns=columns,
        curve_steps=run.steps,
        curve_loss=np.full(4, value),
    )
    page = Page(html(run, [finding(evidence={"a": value}, first_step=0, last_step=0)]))
    expected = {0.0: ZERO, np.inf: BROKEN}.get(value)
    if expected is None:
        assert page.grid("delta")[0]["rows"] == []
    else:
        assert (page.grid("delta")[1] == expected).all()


def test_cells_hold_the_measured_values() -> None:
    run = chain(6, 40)
    columns = dict(run.columns)
    columns[Channel("site", 2, "delta")] = columns[Channel("site", 2, "delta")].copy()
    columns[Channel("site", 2, "delta")][[3, 4, 5]] = [np.nan, 0.0, np.nan]
    columns[Channel("site", 2, "delta_nonfinite")] = np.zeros(40)
    columns[Channel("site", 2, "delta_nonfinite")][5] = 7
    page = Page(html(empty(sites=run.sites, steps=run.steps, columns=columns), []))
    head, codes = page.grid("delta")
    assert head["steps"] == list(range(40))
    assert head["rows"] == [1, 2, 3, 4, 5, 6], "forward order, without data and loss"
    assert codes[1, 3:6].tolist() == [MISSING, ZERO, BROKEN]
    span = head["high"] - head["low"]
    for row, site in enumerate(head["rows"]):
        told = 10 ** (head["low"] + codes[row] / TOP * span)
        sound = codes[row] <= TOP
        want = columns[Channel("site", site, "delta")]
        np.testing.assert_allclose(told[sound], want[sound], rtol=10 ** (span / TOP / 2) - 1 + 1e-6)
    assert (page.grid("dead")[1][5] == TOP).all()
    last = page.kept["step"]["values"]["delta"]
    assert last[3] == pytest.approx(columns[Channel("site", 3, "delta")][-1]), "as it was measured"


class Many(Mapping[Channel, npt.NDArray[np.float64]]):
    """Columns of a huge run without its memory: each is made when asked for."""

    def __init__(self, channels: list[Channel], steps: int) -> None:
        self._channels = dict.fromkeys(channels)
        self._noise = np.random.default_rng(0).lognormal(0, 6, steps)

    def __getitem__(self, channel: Channel) -> npt.NDArray[np.float64]:
        if channel not in self._channels:
            raise KeyError(channel)
        return np.roll(self._noise, channel.id)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)


def huge(sites: int, steps: int) -> tuple[Run, list[Finding]]:
    path = "encoder.transformer.layers.block_with_a_long_name.attention.projection.{}"
    names = [f"Model.{path.format(i)}.weight" for i in range(sites)]
    made = [
        Site(i, "Model", path.format(i), "linear", "affine", shape=(64, 512, 4096), params=(n,))
        for i, n in enumerate(names)
    ]
    channels = [
        Channel("site", i, metric)
        for i in range(sites)
        for metric in ("rms", "delta", "saturated", "dead", "spread")
    ]
    channels += [Channel("param", i, m) for i in range(sites) for m in ("update", "weight")]
    run = Run(
        name="huge",
        meta={"argv": ["--x"] * 1000, **{f"key{i}": "v" * 5000 for i in range(100)}},
        sites=tuple(made),
        params=tuple(Parameter(i, n, (9, 9)) for i, n in enumerate(names)),
        steps=np.arange(steps),
        columns=Many(channels, steps),
        curve_steps=np.arange(100 * steps),
        curve_loss=np.random.default_rng(1).normal(size=100 * steps),
        events=tuple(Event("nonfinite", i, {"why": "x" * 2000}) for i in range(5000)),
    )
    found = [
        finding(
            f"EF{100 + i}",
            sites=tuple(range(sites)),
            evidence={f"e{k}": 1.0 for k in range(99)},
            message="m" * 9999,
            treatments=tuple(f"{k}" + "t" * 9999 for k in range(99)),
            chain=tuple(Link("event", "w" * 999, k, k) for k in range(99)),
        )
        for i in range(400)
    ]
    return run, found


def test_a_huge_run_makes_a_small_page() -> None:
    run, found = huge(1000, 5000)
    text = html(run, found)
    assert len(text.encode()) < 2_000_000
    page = Page(text)
    assert "And 360 more." in page.text
    kept = page.kept
    assert kept["summary"]["sites"][999]["name"].endswith("projection.999 linear")
    head, codes = page.grid("delta")
    assert len(head["rows"]) == 1000 and head["total"] == 5000
    assert codes.shape[1] == len(head["steps"]) >= 20
    assert len(kept["findings"]["findings"]) == 100
    assert kept["sites"], "some layers are kept as they were measured"


def test_thinning_the_curve_keeps_its_extremes() -> None:
    losses = np.ones(50_000)
    losses[[12_345, 40_000]] = [900.0, -7.0]
    losses[20_000:20_010] = np.nan
    sites = chain(2, 4).sites
    page = Page(html(empty(sites=sites, curve_steps=np.arange(50_000), curve_loss=losses), []))
    steps, kept = page.kept["curves"]["loss"]
    known = [v for v in kept if v is not None]
    assert len(steps) < 2000
    assert max(known) == 900 and min(known) == -7
    assert steps[0] == 0 and steps[-1] == 49_999


def test_parameters_that_do_not_learn_are_listed_with_the_reason() -> None:
    run = chain(4, 5)
    params = (
        Parameter(0, "frozen", (2,), trainable=False),
        Parameter(1, "forgotten", (2,)),
        Parameter(2, "unreached", (2,), optimizer=0),
        Parameter(3, "fine", (2,), optimizer=0),
    )
    columns = {Channel("param", 1, "grad"): np.ones(5), Channel("param", 3, "grad"): np.ones(5)}
    text = Page(
        html(empty(meta=run.meta, params=params, steps=run.steps, columns=columns), [])
    ).text
    assert "3 of 4 parameter tensors" in text
    assert "frozen 2 frozen (requires_grad is False)" in text
    assert "forgotten 2 in no optimizer" in text
    assert "unreached 2 no gradient reached it" in text


def test_a_page_of_a_file_name_is_titled_by_it() -> None:
    assert "<title>chain: sick · Evenflow</title>" in html(chain(), [finding()])
