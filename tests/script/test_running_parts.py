"""The parts that no script shows: import hook, traces, finding what to run."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch

from evenflow.script import NoTarget, Program, find, traces, when_imported


def test_calls_back_once_after_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_arrival.py").write_text("VALUE = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    finders = list(sys.meta_path)
    seen: list[int] = []
    when_imported("late_arrival", lambda: seen.append(sys.modules["late_arrival"].VALUE))
    import json  # noqa: F401 - others come and go

    assert seen == []
    import late_arrival  # type: ignore[import-not-found]

    assert seen == [7]
    assert sys.meta_path == finders
    assert "exec_module" not in vars(late_arrival.__loader__)
    when_imported("late_arrival", lambda: seen.append(0))
    assert seen == [7, 0]


def test_a_missing_module_is_still_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    finders = list(sys.meta_path)
    when_imported("never_to_be_found", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        import never_to_be_found  # type: ignore[import-not-found]  # noqa: F401
    assert sys.meta_path == finders


def _raised(*files: str, kind: str = "ValueError") -> BaseException:
    """An error whose frames are in `files`, the last one raising."""
    inner = f"raise {kind}('x')"
    scope: dict[str, object] = {}
    for file in reversed(files):
        exec(compile(f"def call():\n    {inner}\n", file, "exec"), scope)
        scope = {"inner": scope["call"]}
        inner = "inner()"
    try:
        scope["inner"]()  # type: ignore[operator]
    except BaseException as error:
        error.__traceback__ = error.__traceback__.tb_next  # type: ignore[union-attr]
        return error
    raise AssertionError


def _files(error: BaseException) -> list[str]:
    return [f.filename for f in traceback.extract_tb(error.__traceback__)]


def test_our_frames_leave_a_traceback() -> None:
    tape = traces._HERE + "/tape/x.py"
    launch = traces._HERE + "/script/running.py"
    error = traces.without_us(_raised(launch, "train.py", tape, "torch.py"))
    assert _files(error) == ["train.py", "torch.py"]


def test_an_error_of_ours_keeps_the_frames_that_say_where() -> None:
    session = traces._HERE + "/monitor/x.py"
    error = traces.without_us(_raised("train.py", session, session))
    assert _files(error) == ["train.py", session, session]
    module = traces._HERE + "/activations/x.py"  # a layer of ours that the script calls
    assert _files(traces.without_us(_raised(module, "torch.py"))) == [module, "torch.py"]


def test_what_struck_in_our_code_by_chance_shows_the_scripts_frames_alone() -> None:
    session = traces._HERE + "/monitor/x.py"
    struck = _raised("train.py", "torch.py", session, session, kind="KeyboardInterrupt")
    assert _files(traces.without_us(struck)) == ["train.py", "torch.py"]


def test_causes_are_cleaned_too() -> None:
    tape = traces._HERE + "/tape/x.py"
    error, cause = _raised("a.py"), _raised("b.py", tape, "c.py")
    error.__cause__, cause.__context__ = cause, error  # a ring must not hang
    traces.without_us(error)
    assert _files(cause) == ["b.py", "c.py"]


def test_a_module_that_fails_to_import_is_the_scripts_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a module that is not there is wrong usage."""
    (tmp_path / "half").mkdir()
    (tmp_path / "half/__init__.py").write_text("import what_it_lacks\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setattr(sys, "argv", ["evenflow"])
    with pytest.raises(ModuleNotFoundError, match="what_it_lacks"):
        find(Program("half.train", str(tmp_path), module=True))
    with pytest.raises(NoTarget, match="holfe"):
        find(Program("holfe.train", str(tmp_path), module=True))


def test_torch_calling_itself_through_our_mode_shows_once() -> None:
    """An active mode adds two frames of torch's to every traceback that goes through it."""
    source = (
        "from torch.overrides import TorchFunctionMode\n"
        "class Through(TorchFunctionMode):\n"
        "    def __torch_function__(self, func, types, args=(), kwargs=None):\n"
        "        return func(*args, **(kwargs or {}))\n"
    )
    scope: dict[str, Any] = {"__name__": "mode"}
    exec(compile(source, traces._HERE + "/tape/mode.py", "exec"), scope)

    def trouble() -> BaseException:
        try:
            torch.nn.functional.softmax(torch.ones(2), "no axis")  # type: ignore[arg-type]
        except Exception as error:
            return error
        raise AssertionError

    bare = trouble()
    with scope["Through"]():
        through = trouble()
    assert len(_files(through)) > len(_files(bare))
    assert _files(traces.without_us(through)) == _files(bare)
