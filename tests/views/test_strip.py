"""The small picture: what is drawn of a run, on a terminal, as an image and in a notebook."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from evenflow.report import text
from evenflow.schema import Channel, Reading, Run
from evenflow.store import Writer
from evenflow.views import (
    Followed,
    heights,
    picture,
    pulse_of,
    run_html,
    sparkline,
    strip_of,
    worst,
)
from evenflow.views.images import curve_uri, png
from evenflow.views.palette import palette
from evenflow.views.pyramid import BROKEN, MISSING, TOP, ZERO
from report.runs import chain, empty, evil, finding

ROOT = Path(__file__).parents[2]


def spoilt() -> Run:
    """Layer 1 sends nothing back at step 3; layer 2 is not finite at step 5."""
    run = chain(depth=4, steps=8)
    columns = dict(run.columns)
    still = columns[Channel("site", 1, "delta")].copy()
    still[3] = 0
    bad = np.zeros(8)
    bad[5] = 1
    columns |= {Channel("site", 1, "delta"): still, Channel("site", 2, "delta_nonfinite"): bad}
    return replace(run, columns=columns)


def console(**more: object) -> Console:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=str(more.pop("encoding", "utf-8")))
    options = {"force_terminal": True, "color_system": "truecolor", "width": 80, **more}
    return Console(file=stream, **options)  # type: ignore[arg-type]


def plain(run: Run, **more: object) -> list[str]:
    return [row.plain for row in picture(run, console(**more))]


def test_layers_from_the_data_to_the_loss_on_the_pages_scale() -> None:
    strip = strip_of(spoilt())
    assert strip is not None and strip.layers == 4 and strip.steps == (0, 7)
    assert [first for first, _last in strip.names] == [f"layers.{i} linear" for i in range(1, 5)]
    assert strip.scale.high - strip.scale.low == 8.0
    assert strip.codes[0, 3] == ZERO and strip.codes[1, 5] == BROKEN
    assert strip.codes[3, 7] == TOP  # the largest, nearest the loss
    assert strip_of(empty()) is None


def test_what_is_joined_shows_the_worst() -> None:
    strip = strip_of(spoilt())
    assert strip is not None
    small = strip.within(2, 2)
    assert small.codes.shape == (2, 2)
    assert small.codes[0].tolist() == [ZERO, BROKEN]
    assert small.names == (
        ("layers.1 linear", "layers.2 linear"),
        ("layers.3 linear", "layers.4 linear"),
    )
    assert small.codes[1, 0] == strip.codes[2, :4].min()


def test_a_file_that_is_followed_gives_the_same(tmp_path: Path) -> None:
    run = spoilt()
    writer = Writer(tmp_path / "r.evenflow", dict(run.meta))
    writer.sites(run.sites)
    writer.params(run.params)
    channels = tuple(run.columns)
    for i, step in enumerate(run.steps):
        writer.reading(Reading(int(step), channels, np.array([c[i] for c in run.columns.values()])))
    writer.close()
    followed = Followed(writer.path)
    followed.look()
    one, other = strip_of(followed), strip_of(run)
    assert one is not None and other is not None
    assert np.array_equal(one.codes, other.codes) and one[1:] == other[1:]
    assert pulse_of(followed).step == 7


def test_each_layer_has_a_row_where_there_are_few() -> None:
    head, *rows, legend = plain(spoilt())
    assert head == "gradient by layer and step, rms of δ  step 0 to 7"
    assert legend == "  1e-10.7 ██████████ 1e-2.7  ■ exactly zero  ■ not finite"
    assert [row.split()[-2:] for row in rows] == [[f"layers.{i}", "linear"] for i in range(1, 5)]
    assert {len(row.split(" layers")[0]) for row in rows} == {2 + 4 * 8}


@pytest.mark.parametrize("depth", [12, 13, 23, 24, 25, 100])
def test_more_share_a_row_of_half_blocks(depth: int) -> None:
    rows = plain(chain(depth))[1:-1]
    assert len(rows) <= 12 and rows[0].endswith(" layers.1 linear")
    assert rows[-1].endswith(f" layers.{depth} linear")
    named = [row for row in rows if "linear" in row]
    assert len(named) == (12 if depth == 12 else 2)
    assert max(map(len, rows)) <= 80


def test_colours_are_the_pages() -> None:
    script = (ROOT / "src/evenflow/views/assets/palette.js").read_text()
    stops = re.search(r"STOPS = \[(.*?)\n\]", script, re.S)
    assert stops is not None
    found = [list(map(int, part.split(","))) for part in re.findall(r"\[([\d, ]+)\]", stops[1])]
    assert palette()[:: TOP // (len(found) - 1)][: len(found)].tolist() == found
    out = console()
    for row in picture(chain(3), out):
        out.print(row)
    out.file.flush()
    assert "38;2;253;231;36" in out.file.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_without_colours_a_layer_is_a_row_of_bars() -> None:
    rows = plain(spoilt(), no_color=True)
    assert rows[-1] == "  from 1e-10.7 (low) to 1e-2.7 (high)  0 exactly zero  ! not finite"
    assert rows[1].split()[0].count("0") == 4 and rows[2].split()[0].count("!") == 4
    assert rows[4].split()[0][-1] == "█"
    ascii_rows = plain(spoilt(), color_system=None, encoding="ascii")
    assert "delta" in ascii_rows[0] and ascii_rows[4].split()[0][-1] == "8"
    assert "".join(ascii_rows).isascii()


def test_the_report_has_it_on_a_terminal_and_not_on_a_pipe() -> None:
    for terminal in (True, False):
        out = console(force_terminal=terminal, color_system="truecolor" if terminal else None)
        text(chain(), [], out, picture=picture)
        out.file.flush()
        said = out.file.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert ("gradient by layer and step" in said) == terminal
        assert "gradient by layer, rms of δ at the latest step" in said
        assert ("\x1b" in said) == terminal


def decoded(data: bytes) -> tuple[int, int, bytes]:
    """A second reader of PNG: width, height, and its bytes without their filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            name + body
        )
        parts[name] = body
        at += 12 + size
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    assert parts[b"PLTE"] == palette().tobytes() and parts[b"tRNS"][MISSING] == 0
    raw = zlib.decompress(parts[b"IDAT"])
    rows = [raw[i * (width + 1) : (i + 1) * (width + 1)] for i in range(height)]
    assert all(row[0] == 0 for row in rows)
    return width, height, b"".join(row[1:] for row in rows)


def test_an_image_holds_the_codes() -> None:
    codes = np.array([[0, TOP, ZERO], [BROKEN, MISSING, 7]], np.uint8)
    assert decoded(png(codes)) == (3, 2, codes.tobytes())


def test_a_curve_is_broken_where_it_is_not_finite() -> None:
    losses = np.array([2.0, 1.0, np.nan, 1.0, 1.0])
    svg = base64.b64decode(curve_uri(losses, 100, 20).split(",")[1]).decode()
    assert svg.count("<polyline") == 2 and "nan" not in svg and "inf" not in svg


def test_sparklines() -> None:
    assert sparkline(np.array([]), 5) == "" and sparkline(np.array([1.0]), 5) == "▁"
    assert sparkline(np.array([5.0] * 3 + [5.000001]), 4) == "▁▁▁▁"  # flat is flat
    assert sparkline(np.array([1e4, 1e2, 1e0]), 3) == "█▅▁"  # steep ones in decades
    assert sparkline(np.array([np.inf, np.nan]), 3) == "!!"
    assert len(heights(np.arange(100.0), 7)) == 7


def test_the_worst_in_a_sentence() -> None:
    assert worst(chain(), []) is None
    told = worst(chain(), [finding()])
    assert told is not None and told[1].startswith("EF101 The gradient vanishes")


def test_a_notebook_gets_nothing_that_runs_or_is_fetched() -> None:
    run, found = evil()
    html = run_html(run, found)
    assert not re.search(r"<(script|style|svg|link|iframe)", html)
    assert "<img src=x" not in html and "&lt;img src=x onerror" in html
    assert re.findall(r'src="(data:image/[a-z+]+;base64,)', html)
    assert "light-dark" not in html and "Sick" in html


def test_records_show_themselves_without_an_import_upwards() -> None:
    html = chain()._repr_html_()
    assert html == run_html(chain()) and html.count("<img") == 3
