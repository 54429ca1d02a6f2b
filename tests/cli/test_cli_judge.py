"""`check`, `report` and `rules`: exit codes, what goes where, bad files, no torch."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import EVENFLOW, evenflow, run

from evenflow.cli import main
from evenflow.schema import Finding

SICK = """
import torch, evenflow
torch.manual_seed(0)
layers = []
for _ in range(24):
    layers += [torch.nn.Linear(16, 16), torch.nn.Sigmoid()]
net = torch.nn.Sequential(*layers, torch.nn.Linear(16, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.randn(32, 16), torch.randint(0, 3, (32,))
with evenflow.watch(net, optimizer, run="sick.evenflow", every=1):
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
net = torch.nn.Linear(16, 1)
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
y = x @ torch.randn(16, 1) / 4
with evenflow.watch(net, optimizer, run="well.evenflow", every=1):
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
with evenflow.watch(run="empty.evenflow"):
    pass
net = torch.nn.Linear(16, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
with evenflow.watch(net, optimizer, run="off.evenflow", every=0):
    for _ in range(3):
        torch.nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sick run, a healthy one and one without a reading."""
    folder = tmp_path_factory.mktemp("made")
    done = run((sys.executable, "-c", SICK), folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


Captured = pytest.CaptureFixture[str]


def test_check_says_sick_by_exit_code_and_on_stdout(here: Path, capsys: Captured) -> None:
    assert main(["check", "sick.evenflow"]) == 1
    out, err = capsys.readouterr()
    assert "SICK" in out and "EF101" in out  # asked for, so `check > file` keeps it
    assert err == "Next: evenflow report sick.evenflow\n"
    assert "\x1b" not in out  # plain where it is not a terminal


def test_check_says_healthy(here: Path, capsys: Captured) -> None:
    assert main(["check", "well.evenflow"]) == 0
    assert "HEALTHY" in capsys.readouterr().out


def test_check_without_a_sample_cannot_judge(here: Path, capsys: Captured) -> None:
    assert main(["check", "off.evenflow"]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "HEALTHY" not in err
    assert "steps of training were counted, and none was measured: sampling was off" in err


def test_health_is_not_claimed_of_what_was_not_asked(here: Path, capsys: Captured) -> None:
    from evenflow.faults import REGISTRY

    asked, all = sum(code.startswith("EF1") for code in REGISTRY), len(REGISTRY)
    assert main(["check", "well.evenflow", "--select", "EF1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"no fault among EF1: {asked} of {all} rules asked" in out.replace(
        "No fault", "no fault"
    )
    assert "HEALTHY" not in out and "every layer learns" not in out
    assert main(["check", "well.evenflow", "--select", "EF1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] != "healthy"


def test_json_is_all_there_is_on_stdout(here: Path, capsys: Captured) -> None:
    assert main(["check", "sick.evenflow", "--json"]) == 1
    out, err = capsys.readouterr()
    page = json.loads(out)
    assert err == ""
    assert page["schema"] == 1
    assert page["verdict"] == "sick"
    assert all(f["remedies"] for f in page["findings"])
    found = [Finding.from_dict(f) for f in page["findings"]]
    assert "EF101" in {f.code for f in found}
    assert all(f.message for f in found)


def test_select_and_ignore(here: Path, capsys: Captured) -> None:
    def found(*options: str) -> set[str]:
        main(["check", "sick.evenflow", "--json", *options])
        return {f["code"] for f in json.loads(capsys.readouterr().out)["findings"]}

    everything = found()
    assert found("--select", "EF101") == {"EF101"}
    assert found("--select", "ef1", "--ignore", "EF102") == {
        c for c in everything if c.startswith("EF1") and c != "EF102"
    }
    assert found("--ignore", "EF1,EF2") == {c for c in everything if c[:3] not in ("EF1", "EF2")}
    assert main(["check", "sick.evenflow", "--select", "EF5"]) == 0


def test_pyproject_selects_where_the_command_does_not(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.evenflow]\nselect = ["EF101"]\n')
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    sick = str(made / "sick.evenflow")
    assert main(["check", sick, "--json"]) == 1
    assert {f["code"] for f in json.loads(capsys.readouterr().out)["findings"]} == {"EF101"}
    assert main(["check", sick, "--select", "EF5"]) == 0
    (tmp_path / "pyproject.toml").write_text('[tool.evenflow]\nselct = ["EF101"]\n')
    assert main(["check", sick]) == 2
    assert "unknown key 'selct': did you mean 'select'?" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text('[tool.evenflow]\nselect = "EF101"\n')
    assert main(["check", sick]) == 2
    assert "it must be a list" in capsys.readouterr().err


def test_newest_run_by_default_and_of_a_folder(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    import os
    import shutil

    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 3
    assert "no folder 'evenflow-runs' here" in capsys.readouterr().err
    folder = tmp_path / "evenflow-runs"
    folder.mkdir()
    assert main(["check"]) == 3
    assert "holds no run" in capsys.readouterr().err
    for age, name in enumerate(("well", "sick")):
        shutil.copy(made / f"{name}.evenflow", folder)
        os.utime(folder / f"{name}.evenflow", (1e9 - age, 1e9 - age))
    assert main(["check"]) == 0
    os.utime(folder / "sick.evenflow")
    assert main(["check", "evenflow-runs"]) == 1
    assert "Next: evenflow report evenflow-runs/sick.evenflow" in capsys.readouterr().err


def _truncated(path: Path, sick: Path) -> None:
    path.write_bytes(sick.read_bytes()[:5000])


def _text(path: Path, sick: Path) -> None:
    path.write_text("step,loss\n1,2.3\n")


def _foreign(path: Path, sick: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE meta (a)")


def _newer(path: Path, sick: Path) -> None:
    path.write_bytes(sick.read_bytes())
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()


def _empty(path: Path, sick: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [_truncated, _text, _foreign, _newer, _empty])
@pytest.mark.parametrize("command", ["check", "report"])
def test_a_bad_file_is_one_clear_sentence(
    command: str, spoil: Callable[[Path, Path], None], made: Path, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "bad.evenflow"
    spoil(path, made / "sick.evenflow")
    assert main([command, str(path)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith(f"evenflow {command}: ")
    assert str(path) in err or path.name in err
    assert not path.with_suffix(".html").exists()


def test_no_reading_is_not_healthy(here: Path, capsys: Captured) -> None:
    assert main(["check", "empty.evenflow"]) == 3
    assert "no training step was seen" in capsys.readouterr().err


def test_a_run_that_is_not_there(here: Path, capsys: Captured) -> None:
    assert main(["check", "sik.evenflow"]) == 3
    err = capsys.readouterr().err
    assert "no file 'sik.evenflow'" in err
    assert "Did you mean 'sick.evenflow'?" in err


def test_report_writes_one_file_beside_the_run(here: Path, capsys: Captured) -> None:
    assert main(["report", "sick.evenflow"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "wrote sick.html\n")
    page = (here / "sick.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert len(page) < 1_000_000
    assert main(["report", "sick.evenflow", "-o", "-"]) == 0
    assert capsys.readouterr().out == page
    assert main(["report", "sick.evenflow", "-o", "no/such/folder.html"]) == 2
    assert "cannot write 'no/such/folder.html'" in capsys.readouterr().err


def test_rules_lists_every_code_and_shows_each_page(capsys: Captured) -> None:
    from evenflow.faults import REGISTRY

    assert main(["rules"]) == 0
    listed = capsys.readouterr().out
    for code, rule in REGISTRY.items():
        assert f"{code}  {rule.name}" in listed
        for asked in (code.lower(), rule.name):
            assert main(["rules", asked]) == 0
            page = capsys.readouterr().out
            assert page.startswith(f"{code} {rule.name} (")
            assert "What it means" in page
    assert main(["rules", "ef1"]) == 0
    some = capsys.readouterr().out.splitlines()
    assert [s.split()[0] for s in some[:-2]] == [c for c in REGISTRY if c.startswith("EF1")]
    assert main(["rules", "EF999"]) == 2
    assert "no rule 'EF999'" in capsys.readouterr().err
    assert main(["rules", "vanishing-gradiant"]) == 2
    assert "did you mean vanishing-gradient" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [("check", "sick.evenflow"), ("report", "sick.evenflow", "-o", "x.html"), ("rules",)]
)
def test_these_do_without_torch(command: tuple[str, ...], made: Path) -> None:
    """They start fast, and run where torch is not installed."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        f"from evenflow.cli import main; sys.exit(main({list(command)!r}))"
    )
    done = run((sys.executable, "-c", code), made)
    assert done.returncode == (1 if command[0] == "check" else 0), done.stderr


def test_python_m_evenflow_is_the_command(tmp_path: Path) -> None:
    done = evenflow(tmp_path, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("evenflow 0.")
    script = run((str(Path(EVENFLOW[0]).with_name("evenflow")), "--version"), tmp_path)
    assert script.stdout == done.stdout


def test_a_broken_pipe_is_quiet(tmp_path: Path) -> None:
    line = f"{sys.executable} -m evenflow rules | head -n 1"
    done = run(("bash", "-c", line), tmp_path)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
