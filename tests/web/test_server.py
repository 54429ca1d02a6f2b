"""What the server answers, to whom, and what it makes of files that are none."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from starlette.testclient import TestClient

import evenflow
from evenflow.forecast import save
from evenflow.schema import Reading
from evenflow.store import is_predicted
from evenflow.views.answers import thinned, values
from evenflow.views.following import Followed
from evenflow.web import application, shelf
from evenflow.web.guarding import POLICY
from evenflow.web.verdicts import Judge, findings, line

from .runs import EVIL, channels, reading, writer, written

HOST = "127.0.0.1:7007"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path / "well.evenflow")
    (tmp_path / "inner").mkdir()
    written(tmp_path / "inner" / "sick.evenflow", sites=12, steps=40, fall=1.0)
    return tmp_path


def client(folder: Path, token: str = "") -> TestClient:
    return TestClient(application(folder, {HOST}, token), base_url=f"http://{HOST}")


def told(folder: Path, path: str, status: int = 200, **asked: Any) -> Any:
    with client(folder) as asking:
        answer = asking.get(f"/api/{path}", params=asked)
    assert answer.status_code == status, answer.text
    return answer.json()


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """The runs by name, once all were read."""
    with client(folder) as asking:
        while True:
            runs = asking.get("/api/runs").json()["runs"]
            if all("verdict" in run for run in runs):
                return {run["name"]: run for run in runs}
            time.sleep(0.05)


def picture(folder: Path, name: str, **asked: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    content = client(folder).get(f"/api/run/{name}/grid", params=asked).content
    length = int.from_bytes(content[:4], "little")
    head = json.loads(content[4 : 4 + length])
    cells = np.frombuffer(content[4 + length :], np.uint8)
    return head, list(cells.reshape(-1, len(head["rows"]), head["columns"]))


def test_the_list_tells_each_run(folder: Path) -> None:
    found = listed(folder)
    assert set(found) == {"well", "inner/sick"}
    assert found["well"]["script"] == "layers.py" and found["well"]["steps"] == 20
    assert len(found["well"]["loss"]) == 20


def test_a_run_and_its_network(folder: Path) -> None:
    run = told(folder, "run/inner/sick/summary")
    assert [s["name"] for s in run["sites"]][:2] == ["input", "layers.0.1 linear"]
    assert run["sites"][2]["inputs"] == [1]
    assert run["sites"][1]["lines"][0]["line"] == 1
    assert [p["name"] for p in run["pictures"]][:2] == ["delta", "update"]
    assert run["steps"] == 40 and run["last"] == 39


def test_a_picture_is_what_was_written(folder: Path) -> None:
    head, (codes,) = picture(folder, "inner/sick", picture="delta")
    assert head["rows"] == list(range(1, 13)) and head["steps"] == list(range(40))
    assert head["high"] == pytest.approx(-3.0) and head["low"] == pytest.approx(-11.0)
    decades = head["low"] + codes[:, 0] / 250 * (head["high"] - head["low"])
    expected = [max(-3.0 - (12 - i), -11.0) for i in range(1, 13)]
    np.testing.assert_allclose(decades, expected, atol=0.02)


def test_a_part_of_a_picture_begins_with_the_sample_before_it(folder: Path) -> None:
    head, (codes,) = picture(folder, "well", picture="delta", start=5, stop=9)
    assert head["steps"] == [5, 6, 7, 8] and codes.shape == (4, 4)


def test_a_long_run_is_joined_and_a_part_of_it_is_not(tmp_path: Path) -> None:
    written(tmp_path / "long.evenflow", sites=2, steps=5_000)
    head, planes = picture(tmp_path, "long", picture="delta")
    assert head["level"] == 2 and head["columns"] == 1250 and len(planes) == 2
    assert head["steps"][:3] == [0, 4, 8]
    head, planes = picture(tmp_path, "long", picture="delta", start=100, stop=300)
    assert head["level"] == 0 and head["columns"] == 200 and len(planes) == 1


def test_curves_sites_steps_findings_and_the_ledger(folder: Path) -> None:
    assert told(folder, "run/well/curves")["loss"][1][:2] == [2.0, 1.0]
    site = told(folder, "run/well/site", id=1)
    assert {r["metric"] for r in site["readings"]} == {"delta", "rms", "update", "weight"}
    step = told(folder, "run/well/step", column=3, pictures="delta,rms")
    assert step["step"] == 3 and step["values"]["rms"][1:] == [1.0] * 4
    assert told(folder, "run/inner/sick/findings")["schema"] == 1
    assert (
        told(folder, "run/well/findings", lang="ru")["said"]
        != told(folder, "run/well/findings", lang="en")["said"]
    )


def test_a_followed_run_is_the_loaded_one(folder: Path) -> None:
    path = folder / "inner" / "sick.evenflow"
    run, stored = Followed(path), evenflow.load(path)
    assert run.look() and not run.look()
    assert run.steps == stored.steps.tolist()
    for (of, metric), block in run.blocks.items():
        for row in range(len(block.values)):
            column = getattr(stored, of)(row, metric) if of != "step" else stored.step(metric)
            found = run.values(of, metric)[row]
            expected = np.full(40, np.nan) if column is None else column
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_relative_update_of_a_layer(folder: Path) -> None:
    run = Followed(folder / "well.evenflow")
    run.look()
    found = values(run, "update")
    assert found[1, 0] == pytest.approx(1e-3) and np.isnan(found[2:]).all()


def test_a_thinned_curve_keeps_its_extremes() -> None:
    x = np.arange(100_000.0)
    y = np.sin(x / 5_000)
    y[54_321] = 77.0
    y[12_345] = np.nan
    steps, kept = thinned(x, y)
    assert len(steps) <= 4_002 and max(v for v in kept if v is not None) == 77.0
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 99_999


# -- live -----------------------------------------------------------------------------------------


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    import asyncio

    from evenflow.views.pyramid import Range
    from evenflow.web.live import events

    made = writer(tmp_path / "run.evenflow")
    layout = channels(4, "delta")
    made.reading(reading(layout, 0, 4))
    made.flush()
    run = Followed(tmp_path / "run.evenflow")
    run.look()

    async def two() -> list[str]:
        stream = events(run, "delta", Range(-8.0, 0.0, True), "")
        out = []
        for step in (1, 2):
            made.reading(reading(layout, step, 4))
            made.curve([step], [1.0])
            made.flush()
            out.append(await anext(stream))
        return out

    first, second = asyncio.run(two())
    made.close()
    kind, cursor, data = first.strip().split("\n")
    assert kind == "event: news" and cursor == "id: 0.2.1"
    news = json.loads(data.removeprefix("data: "))
    assert news["steps"] == [1] and news["loss"] == [[1], [1.0]]
    assert "id: 0.3.2" in second and len(second) < 20_000


def test_a_run_that_vanishes_is_told_and_the_stream_ends(tmp_path: Path) -> None:
    import asyncio

    from evenflow.web.live import events

    run = Followed(written(tmp_path / "run.evenflow"))
    run.look()
    (tmp_path / "run.evenflow").unlink()

    async def all_of() -> list[str]:
        return [event async for event in events(run, "", None, "")]

    (event,) = asyncio.run(all_of())
    assert event.startswith("event: gone")


# -- who may ask ----------------------------------------------------------------------------------


def test_every_answer_forbids_what_is_not_ours(folder: Path) -> None:
    for path in ("/", "/assets/main.js", "/api/runs", "/api/run/nothing/summary"):
        answer = client(folder).get(path)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:7007"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_page_is_refused(folder: Path, headers: dict[str, str]) -> None:
    answer = client(folder).get("/api/runs", headers=headers)
    assert answer.status_code == 403 and "well" not in answer.text


def test_from_elsewhere_only_with_the_token(folder: Path) -> None:
    asked = client(folder, token="secret")
    assert asked.get("/").status_code == 403
    assert asked.get("/?token=wrong").status_code == 403
    assert asked.get("/?token=secret").status_code == 200
    assert asked.get("/api/runs").status_code == 200, "the address has left a cookie"


# -- what is no run -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../etc/passwd", "nothing", "inner", "%2e%2e/x", "a/../../x"])
def test_no_other_file_is_read(folder: Path, name: str) -> None:
    assert client(folder).get(f"/api/run/{name}/summary").status_code == 404


@pytest.mark.parametrize("name", ["../app.py", "nothing.js", "vendor", "..%2fapp.py"])
def test_no_other_asset(folder: Path, name: str) -> None:
    assert client(folder).get(f"/assets/{name}").status_code == 404


def test_a_file_that_is_none_is_one_sentence(folder: Path) -> None:
    (folder / "torn.evenflow").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    assert told(folder, "run/torn/summary", 422)["error"]
    found = listed(folder)
    assert found["torn"]["verdict"] == "unreadable" and found["torn"]["why"]
    assert found["well"]["verdict"] != "unreadable"


@pytest.mark.parametrize(
    "asked",
    [
        "grid?picture=nothing",
        "grid?start=x",
        "site?id=99",
        "site?id=x",
        "step?column=-5",
        "ledger?at=7777",
    ],
)
def test_what_is_not_there_is_one_sentence(folder: Path, asked: str) -> None:
    answer = client(folder).get(f"/api/run/well/{asked}")
    assert answer.status_code in (404, 422) and answer.json()["error"]


def test_names_that_would_be_markup_are_told_as_text(tmp_path: Path) -> None:
    written(tmp_path / "evil.evenflow", name=EVIL)
    run = told(tmp_path, "run/evil/summary")
    assert "<img" in run["sites"][1]["name"]
    answer = client(tmp_path).get("/api/run/evil/summary")
    assert answer.headers["content-type"] == "application/json"


def test_a_judge_that_is_killed_is_begun_anew(folder: Path) -> None:
    with client(folder) as asking:
        shelf = asking.app.state.shelf  # type: ignore[attr-defined]
        first = asking.get("/api/run/well/findings").json()
        assert first["verdict"]
        shelf._judge.close()
        shelf._judge._process.join()
        again = asking.get("/api/run/well/findings", params={"lang": "ru"}).json()
        assert again["verdict"] == first["verdict"]


def test_what_somebody_waits_for_is_judged_first(folder: Path) -> None:
    judge, order, asked = Judge(), list[str](), []
    for name in ("well", "inner/sick", "well"):
        asked.append(judge.ask(line, folder / f"{name}.evenflow"))
        asked[-1].add_done_callback(lambda _: order.append("line"))
    asked.append(judge.ask(findings, folder / "well.evenflow", "en", first=True))
    asked[-1].add_done_callback(lambda _: order.append("findings"))
    for each in asked:
        each.result()
    assert order.index("findings") < 2
    judge.close()


def test_a_forecast_is_set_beside_the_run_of_its_model(folder: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    save(evenflow.preflight(model, (16, 8)), folder / "foreseen.evenflow")
    with evenflow.watch(model, run=folder / "seen.evenflow", every=1):
        model(torch.randn(16, 8)).square().mean().backward()
    (found,) = told(folder, "run/seen/beside")
    assert found["forecast"] == "foreseen"
    assert [p["site"] for p in found["pairs"]] == [
        "Sequential.0 linear", "Sequential.1 tanh", "Sequential.2 linear"
    ]  # fmt: skip
    assert told(folder, "run/well/beside") == [], "of another model"


def test_a_table_has_every_number(folder: Path) -> None:
    with client(folder) as asking:
        text = asking.get("/api/run/well/table", params={"picture": "delta", "form": "csv"}).text
        rows = list(csv.reader(text.splitlines()))
        assert rows[0][:2] == ["step", "Net.layers.0.1 linear"] and len(rows) == 21
        assert [float(v) for v in rows[1][1:]] == pytest.approx([1e-3 * 10**-i for i in
            (0.3, 0.2, 0.1, 0.0)], rel=1e-5)  # fmt: skip
        packed = asking.get("/api/run/well/table", params={"picture": "delta", "form": "parquet"})
        table = parquet.read_table(io.BytesIO(packed.content))
        assert table.column_names == rows[0] and table.num_rows == 20
        asked = {"picture": "delta", "form": "xls"}
        assert asking.get("/api/run/well/table", params=asked).status_code == 422


def test_a_metric_that_a_file_made_up_is_left_out(folder: Path) -> None:
    made, layout = writer(folder / "odd.evenflow"), channels(4, "delta", EVIL)
    for step in range(3):
        made.reading(Reading(step, layout, np.ones(len(layout))))
    made.close()
    told_of = told(folder, "run/odd/summary")
    assert [p["name"] for p in told_of["pictures"]] == ["delta"]
    assert told(folder, "run/odd/site", id=1)["readings"]


def test_whether_a_file_foretells_is_looked_up_once_a_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(path: Path) -> bool:
        asked.append(path.stem)
        return is_predicted(path)

    monkeypatch.setattr(shelf, "is_predicted", counted)
    with client(folder) as asking:
        for _ in range(3):
            assert asking.get("/api/run/well/beside").json() == []
    assert asked == ["sick"]
