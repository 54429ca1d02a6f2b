"""What goes in comes out: sites, parameters, readings, curve, events, findings."""

from __future__ import annotations

import dataclasses
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from evenflow.schema import (
    KINDS,
    METRICS,
    Channel,
    Event,
    Finding,
    Link,
    Parameter,
    Reading,
    Run,
    Severity,
    Site,
)
from evenflow.store import Writer, follow, load

TEXTS = st.text(max_size=12)  # any Unicode but surrogates; those have a test of their own
NUMBERS = st.floats(width=64)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def site_lists(draw: st.DrawFn) -> list[Site]:
    count = draw(st.integers(1, 5))
    return [
        Site(
            id=i,
            root=draw(TEXTS),
            path=draw(TEXTS),
            op=draw(TEXTS),
            kind=draw(st.sampled_from(KINDS)),
            index=draw(st.integers(0, 9)),
            call=draw(st.integers(0, 9)),
            shape=tuple(draw(st.lists(st.integers(0, 2**12), max_size=4))),
            dtype=draw(st.sampled_from(("float32", "bfloat16"))),
            inputs=tuple(draw(st.lists(st.integers(0, count - 1), max_size=3))),
            params=tuple(draw(st.lists(TEXTS, max_size=2))),
        )
        for i in range(count)
    ]


@st.composite
def reading_lists(draw: st.DrawFn, sites: int) -> list[Reading]:
    """Readings of up to three layouts that share channels."""
    channels = st.lists(
        st.builds(
            Channel,
            st.just("site"),
            st.integers(0, sites - 1),
            st.sampled_from([name for of, name in METRICS if of == "site"]),
            st.just(-1),
        )
        | st.just(Channel("step", 0, "loss")),
        unique=True,
        max_size=6,
    ).map(tuple)
    layouts = draw(st.lists(channels, min_size=1, max_size=3))
    steps = sorted(draw(st.sets(st.integers(0, 2**40), max_size=12)))
    readings = []
    for step in steps:
        layout = draw(st.sampled_from(layouts))
        values = draw(st.lists(NUMBERS, min_size=len(layout), max_size=len(layout)))
        readings.append(Reading(step, layout, np.array(values, np.float64)))
    return readings


FINDINGS = st.lists(
    st.builds(
        Finding,
        code=st.sampled_from(("EF101", "EF704")),
        name=TEXTS,
        severity=st.sampled_from(Severity),
        sites=st.just((0,)),
        first_step=st.integers(0, 2**40),
        last_step=st.integers(0, 2**40),
        evidence=st.dictionaries(TEXTS, st.floats(allow_nan=False), max_size=3),
        threshold=st.dictionaries(TEXTS, st.floats(allow_nan=False), max_size=2),
        params=st.lists(TEXTS, max_size=2).map(tuple),
        cause=TEXTS,
        chain=st.lists(
            st.builds(
                Link,
                st.sampled_from(("cause", "event", "end")),
                TEXTS,
                st.none() | st.integers(0, 99),
                st.none() | st.just(0),
            ),
            max_size=3,
        ).map(tuple),
        treatments=st.lists(TEXTS, max_size=2).map(tuple),
        message=TEXTS,
    ),
    max_size=3,
)


def seen(value: Any, newline: bool = True) -> Any:
    """What may be shown of a text, told character by character; other values as they are."""
    if isinstance(value, (list, tuple)):
        return type(value)(seen(item, newline) for item in value)
    if isinstance(value, dict):
        return {seen(key, False): seen(item, newline) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    odd = {*range(0x200E, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)}
    odd |= {0x61C, 0x180E, 0x200B, 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)}
    out = ""
    for c in value:
        keep = newline and c in "\n\t"
        bad = unicodedata.category(c) in ("Cc", "Cs") or ord(c) in odd
        out += repr(c)[1:-1] if bad and not keep else c
    return out


def seen_all(records: Sequence[Any]) -> list[Any]:
    """Frozen records, each text field as it may be shown on one line."""
    return [
        dataclasses.replace(
            r, **{f.name: seen(getattr(r, f.name), False) for f in dataclasses.fields(r)}
        )
        for r in records
    ]


def oracle(value: float) -> float:
    """What float32 may make of a value, told slowly."""
    with np.errstate(all="ignore"):
        narrow = float(np.float32(value))
    if narrow == 0 and value != 0:
        return float(np.copysign(np.float64(2.0**-149), value))
    if np.isinf(narrow) and np.isfinite(value):
        return float(np.copysign(np.float64(np.finfo(np.float32).max), value))
    return narrow


def expect_columns(run: Run, readings: list[Reading]) -> None:
    assert run.steps.dtype == np.int64
    assert run.steps.tolist() == [reading.step for reading in readings]
    channels = {channel for reading in readings for channel in reading.channels}
    assert set(run.columns) == channels
    assert len(run.columns) == len(channels)
    for channel in channels:
        column = run.columns[channel]
        assert column.dtype == np.float64
        for got, reading in zip(column, readings, strict=True):
            told = dict(zip(reading.channels, reading.values, strict=True))
            np.testing.assert_equal(got, oracle(told[channel]) if channel in told else np.nan)


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data(), sites=site_lists(), findings=FINDINGS, meta=st.dictionaries(TEXTS, PLAIN))
def test_run_comes_back_as_it_went_in(
    data: st.DataObject, sites: list[Site], findings: list[Finding], meta: dict[str, object]
) -> None:
    readings = data.draw(reading_lists(len(sites)))
    params = [
        Parameter(i, data.draw(TEXTS), (3, i), "float16", bool(i % 2), i - 1) for i in range(3)
    ]
    events = data.draw(
        st.lists(
            st.builds(Event, TEXTS, st.integers(0, 2**40), st.dictionaries(TEXTS, PLAIN)),
            max_size=3,
        )
    )
    losses = data.draw(st.lists(NUMBERS, max_size=9))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a run %20?#.evenflow")
        writer = Writer(path, meta)
        writer.sites([Site(0, "old", "", "", "other")])
        writer.sites(sites)
        writer.params(params)
        for number, reading in enumerate(readings):
            writer.reading(reading)
            if number % 5 == 4:
                writer.flush()
        writer.curve(list(range(len(losses))), losses)
        for event in events:
            writer.event(event)
        writer.findings([])
        writer.findings(findings)
        writer.flush()
        live = load(path)
        writer.close()
        assert writer.error is None
        run = load(path)
        assert [file.name for file in Path(folder).iterdir()] == [path.name]
        told = [dataclasses.replace(f, chain=()) for f in (follow(path).findings or ())]
        plain = [dataclasses.replace(f, chain=()) for f in findings]
        assert [f.as_dict() for f in told] == [seen(f.as_dict()) for f in plain]
        assert [f.chain for f in (follow(path).findings or ())] == [
            tuple(Link(*seen(tuple(link))) for link in f.chain) for f in findings
        ]
    assert run.name == "a run %20?#"
    assert run.meta == seen(meta)
    assert list(run.sites) == seen_all(sites)
    assert list(run.params) == seen_all(params)
    assert list(run.events) == [
        Event(seen(e.kind, False), e.step, seen(dict(e.detail))) for e in events
    ]
    assert run.source == "measured"
    np.testing.assert_array_equal(run.curve_loss, losses)
    assert run.curve_steps.tolist() == list(range(len(losses)))
    expect_columns(run, readings)
    expect_columns(live, readings)


@given(st.lists(NUMBERS, max_size=20))
@example(
    [5e-324, -1e-60, 1e300, -1e39, 0.0, -0.0, np.nan, np.inf, -np.inf, 1.4e-45, 1e-45, 0.5e-45]
)
def test_packed_values_are_never_zeroed_and_never_overflow(values: list[float]) -> None:
    from evenflow.store.codec import pack

    got = np.frombuffer(pack(np.array(values, np.float64)), "<f4").astype(np.float64)
    want = np.array([oracle(value) for value in values])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_predicted_readings_make_a_predicted_run(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r.evenflow", {})
    channels = (Channel("step", 0, "loss"),)
    writer.reading(Reading(0, channels, np.array([2.0]), source="predicted"))
    writer.flush()
    assert load(writer.path).source == "predicted"
    writer.reading(Reading(0, channels, np.array([3.0])))
    writer.close()
    run = load(writer.path)
    assert run.source == "measured"
    assert run.columns[channels[0]].tolist() == [3.0]


def test_of_a_step_told_twice_the_latest_counts(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r.evenflow", {})
    channels = (Channel("step", 0, "loss"),)
    for step, value in ((4, 1.0), (2, 2.0), (4, 3.0)):
        writer.reading(Reading(step, channels, np.array([value])))
        writer.curve([step], [value])
        writer.flush()
    writer.close()
    run = load(writer.path)
    assert run.steps.tolist() == run.curve_steps.tolist() == [2, 4]
    assert run.columns[channels[0]].tolist() == run.curve_loss.tolist() == [2.0, 3.0]


def test_values_are_copied_when_given(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r.evenflow", {})
    channels = (Channel("step", 0, "loss"),)
    values = np.array([1.0])
    for step in range(50):
        values[0] = step
        writer.reading(Reading(step, channels, values))
    writer.close()
    assert load(writer.path).columns[channels[0]].tolist() == list(range(50))


def test_odd_meta_is_kept_as_far_as_it_can_be(tmp_path: Path) -> None:
    odd = {"n": np.float32(0.5), "a": np.arange(3), "p": Path("x"), "s": "\ud800", "nan": np.nan}
    writer = Writer(tmp_path / "r.evenflow", odd)
    writer.meta(ended="closed")
    writer.close()
    meta = dict(load(writer.path).meta)
    assert np.isnan(meta.pop("nan"))
    assert meta == {"n": 0.5, "a": [0, 1, 2], "p": "x", "s": "\\ud800", "ended": "closed"}
