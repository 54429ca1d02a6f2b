"""`check --format`: what CI servers, code scanning and GitHub read, by their published schemas."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from programs import evenflow

from evenflow.faults import REGISTRY

SCHEMAS = Path(__file__).resolve().parents[1] / "report" / "schemas"
NET = """
from torch import nn


def net(depth):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(16, 16), nn.Sigmoid()]  # EF101 EF205
    return nn.Sequential(*layers, nn.Linear(16, 3))
"""
TRAIN = """
import torch
from net import net

torch.manual_seed(0)
model = net(24)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(32, 16), torch.randint(0, 3, (32,))
for _ in range(60):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)  # EF401
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checked-out repository whose training lies in a folder with a name that needs quoting."""
    root = tmp_path_factory.mktemp("repository")
    folder = root / "my trainings, all"
    folder.mkdir()
    (folder / "net.py").write_text(NET, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    done = evenflow(
        root, "run", "--every", "4", "--out", "run.evenflow", "my trainings, all/train.py"
    )
    assert done.returncode == 0, done.stderr
    return root


def written(root: Path, form: str) -> str:
    done = evenflow(root, "check", "run.evenflow", "--format", form)
    assert done.returncode == 1, done.stderr
    return done.stdout


def codes_at(root: Path, file: str, line: int) -> set[str]:
    """What the line itself says is found there."""
    text = (root / file).read_text(encoding="utf-8").splitlines()[line - 1]
    return set(re.findall(r"EF\d{3}", text))


def test_github_annotations_land_on_the_lines(repository: Path) -> None:
    (row,) = written(repository, "github").splitlines()
    command, at, text = re.fullmatch(r"::(\w+) (.*?)::(.*)", row).groups()  # type: ignore[union-attr]
    told = dict(part.split("=", 1) for part in at.split(","))
    file = told["file"].replace("%2C", ",")
    assert command == "error" and told["title"] == "EF101 Vanishing gradient"
    assert "EF101" in codes_at(repository, file, int(told["line"]))
    line = (repository / file).read_text().splitlines()[int(told["line"]) - 1]
    assert line[int(told["col"]) - 1 : int(told["endColumn"]) - 1] == "nn.Sigmoid()"
    assert "%0Athen EF205" in text and "\n" not in text


def test_sarif_is_valid_and_points_at_the_lines(repository: Path) -> None:
    log = json.loads(written(repository, "sarif"))
    schema = json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(schema).validate(log)
    (run,) = log["runs"]
    found: dict[str, Any] = {r["ruleId"]: r for r in run["results"]}
    assert list(found) == ["EF101", "EF205", "EF401"]
    for code, result in found.items():
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == code
        (at,) = result["locations"]
        place = at["physicalLocation"]
        file = place["artifactLocation"]["uri"].replace("%20", " ").replace("%2C", ",")
        region = place["region"]
        line = (repository / file).read_text().splitlines()[region["startLine"] - 1]
        assert region["snippet"]["text"] == line
        assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == "nn.Sigmoid()"
    assert "EF401" in codes_at(repository, *related(found["EF401"]))
    assert found["EF401"]["message"]["text"].endswith("It follows from EF101.")


def related(result: dict[str, Any]) -> tuple[str, int]:
    place = result["relatedLocations"][0]["physicalLocation"]
    uri = place["artifactLocation"]["uri"].replace("%20", " ").replace("%2C", ",")
    return uri, place["region"]["startLine"]


def test_junit_is_what_pytests_own_schema_takes(repository: Path, tmp_path: Path) -> None:
    text = written(repository, "junit")
    (tmp_path / "junit.xml").write_text(text, encoding="utf-8")
    xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd")).validate(str(tmp_path / "junit.xml"))
    suite = ElementTree.fromstring(text.encode())[0]
    assert (suite.get("tests"), suite.get("failures")) == (str(len(REGISTRY)), "3")
    failed = {c.get("name", "")[:5]: c[0] for c in suite if len(c) and c[0].tag == "failure"}
    assert set(failed) == {"EF101", "EF205", "EF401"}
    said = failed["EF101"].text or ""
    file, line = said.split(": ")[0].rsplit(":", 1)
    assert "EF101" in codes_at(repository, file, int(line))


def test_json_has_the_lines_with_their_source(repository: Path) -> None:
    told = json.loads(written(repository, "json"))
    first = told["findings"][0]["where"][0]
    assert first["file"] == "my trainings, all/net.py" and "nn.Sigmoid()" in first["source"]
    assert first["turns"] == 24
    done = evenflow(repository, "check", "run.evenflow", "--json")
    assert json.loads(done.stdout) == told


def test_elsewhere_the_file_is_named_as_the_run_knows_it(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "run.evenflow").write_bytes((repository / "run.evenflow").read_bytes())
    done = evenflow(tmp_path, "check", "run.evenflow", "--format", "github")
    assert "file=my trainings%2C all/net.py,line=8," in done.stdout


def test_an_unknown_format_is_refused(repository: Path) -> None:
    done = evenflow(repository, "check", "run.evenflow", "--format", "xml")
    assert done.returncode == 2 and "xml" in done.stderr and "sarif" in done.stderr
