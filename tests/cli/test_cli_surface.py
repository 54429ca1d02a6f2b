"""The command line's surface, frozen; and what wrong usage says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer
from programs import evenflow

from evenflow.cli import main
from evenflow.cli.app import app

SURFACE = {
    "run": {
        "script": "",
        "args": "",
        "-m --module": "",
        "--every": "EVENFLOW_EVERY",
        "--budget": "EVENFLOW_BUDGET",
        "--out": "EVENFLOW_OUT",
        "--resume": "EVENFLOW_RESUME",
        "--json": "EVENFLOW_JSON",
        "--on-nonfinite": "EVENFLOW_ON_NONFINITE",
        "--heal": "EVENFLOW_HEAL",
        "--select": "EVENFLOW_SELECT",
        "--ignore": "EVENFLOW_IGNORE",
        "--no-source": "EVENFLOW_NO_SOURCE",
        "--live": "EVENFLOW_LIVE",
        "--quiet": "EVENFLOW_QUIET",
        "--verbose": "EVENFLOW_VERBOSE",
    },
    "check": {
        "run": "",
        "--json": "",
        "--format": "",
        "--forecast": "",
        "--select": "EVENFLOW_SELECT",
        "--ignore": "EVENFLOW_IGNORE",
        "--verbose": "EVENFLOW_VERBOSE",
    },
    "checkup": {
        "script": "",
        "args": "",
        "-m --module": "",
        "--seconds": "",
        "--json": "",
        "--out": "",
        "--force": "",
    },
    "explain": {
        "run": "",
        "--site": "",
        "--step": "",
        "--json": "",
        "-o --output": "",
        "--lesson": "",
        **dict.fromkeys(("--x", "--w", "--t", "--eta", "--alpha", "--steps"), ""),
        "--force": "",
    },
    "preflight": {
        "factory": "",
        "--input": "",
        "--dtype": "",
        "--compile": "",
        "--static": "",
        "--json": "",
        "--out": "",
        "--patch": "",
        "--seed": "",
        "--force": "",
    },
    "report": {
        "run": "",
        "-o --output": "",
        "--against": "",
        "--forecast": "",
        "--select": "EVENFLOW_SELECT",
        "--ignore": "EVENFLOW_IGNORE",
        "--force": "",
    },
    "rules": {"code": ""},
    "step": {
        "net": "",
        **dict.fromkeys(("--x", "--t", "--eta", "--alpha", "--mode", "--steps", "--json"), ""),
        **dict.fromkeys(("-o --output", "--force"), ""),
    },
    "ui": {"folder": "", "--port": "", "--host": ""},
    "activations": {"name": "", "-o --output": "", "--sweep": "", "--json": "", "--force": ""},
    "cure": {
        "script": "",
        "args": "",
        "-m --module": "",
        "--metric": "",
        "--minimize": "",
        "--seeds": "",
        "--budget": "",
        "--jobs": "",
        "--in-place": "",
        "--fresh": "",
        "--without": "",
        "--checkup": "",
        "--apply": "",
        "--patch": "",
        "--write": "",
        "--force": "",
        "--json": "",
    },
    "fit": {
        "data": "",
        "--target": "",
        "--out": "",
        "--task": "",
        "--drop": "",
        "--keep": "",
        "--kind": "",
        "--cv": "",
        "--hidden": "",
        "--depth": "",
        "--activation": "",
        "--seed": "",
    },
    "predict": {"model": "", "data": "", "-o --output": "", "--force": ""},
    "demo": {"--out": ""},
}


def test_the_surface_is_as_promised() -> None:
    """Changing it breaks scripts: say so in CHANGELOG.md, then change it here."""
    group = typer.main.get_command(app)
    assert [o for p in group.params for o in p.opts] == ["--version", "--lang"]
    found = {
        name: {
            " ".join(sorted(p.opts, key=len)): str(p.envvar or "")
            for p in command.params
            if p.opts != ["--lang"]
        }
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }
    assert found == SURFACE
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert ["--lang"] in [p.opts for p in command.params], name


def test_every_command_and_option_has_help() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), (name, parameter.name)


WRONG = {
    ("chek",): "No such command 'chek'. Did you mean 'check', 'checkup'?",
    ("run", "--evry", "1", "x.py"): "--every",
    ("run", "--every", "often", "x.py"): "'often' is neither auto nor a whole number",
    ("run", "--every", "-3", "x.py"): "'-3' is neither auto nor a whole number",
    ("run", "--budget", "20", "x.py"): "'20' is not a share between 0 and 1",
    ("run", "--on-nonfinite", "halt", "x.py"): "'halt'",
    ("run", "--heal=clip,scip", "x.py"): "there is no 'scip'; there are clip, skip, rollback",
    ("run", "--select", "101", "x.py"): "'101' is not a code",
    ("run", "--select", "EF999", "x.py"): "'EF999'",
    ("run",): "Missing argument",
    ("run", "trian.py"): "no file 'trian.py'. Did you mean 'train.py'?",
    ("run", "nowhere/train.py"): "There is no folder 'nowhere' either.",
    ("run", "json.tool"): "put -m before its name",
    ("run", "-m", "no_such_module"): "no_such_module",
    ("run", "-m", "train.py"): "Without -m, a file is run.",
    ("run", "-m", "email"): "is a package with no __main__",
    ("check", "--select", "EF999", "x"): "'x'",
    ("checkup", "trian.py"): "no file 'trian.py'. Did you mean 'train.py'?",
    ("checkup", "--seconds", "1", "train.py"): "--seconds",
    ("checkup", "--out", "train.py", "train.py"): "is no report of ours",
    ("cure", "no_such.py"): "there is no file 'no_such.py'",
    ("cure", "--checkup", "train.py", "train.py"): "no result of `evenflow checkup --json`",
    ("cure", "--budget", "ten", "train.py"): "'ten' is no budget",
    ("cure", "--metric", "(", "train.py"): "no regular expression",
    ("cure", "--seeds", "0", "train.py"): "--seeds must be at least 1",
    ("demo", "--out", "train.py"): "cannot use 'train.py'",
}


@pytest.mark.parametrize("args", WRONG, ids=" ".join)
def test_wrong_usage_says_what_and_exits_2(args: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('trained')")
    done = evenflow(tmp_path, *args)
    assert done.returncode == (3 if args[0] == "check" else 2)
    assert WRONG[args] in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_code_is_refused_with_the_closest(tmp_path: Path) -> None:
    done = evenflow(tmp_path, "run", "--ignore", "EF110", "x.py")
    assert done.returncode == 2
    assert "no rule's code begins with 'EF110': did you mean EF" in done.stderr


def test_no_arguments_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    said = "".join(capsys.readouterr())
    assert "Usage: evenflow" in said
    assert all(command in said for command in SURFACE)


def test_help_starts_fast() -> None:
    """No torch, no numpy: a command that only parses must feel instant."""
    from programs import run

    code = (
        "import sys\nfrom evenflow.cli import main\n"
        "try: main(['run', '--help'])\nfinally:\n"
        "    print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    )
    import sys

    done = run((sys.executable, "-c", code), Path(os.getcwd()))
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
