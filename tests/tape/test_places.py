"""Whose a file is, where a script's own folder lies, and what texts of files are sure."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
import types
from pathlib import Path
from typing import Any

import pytest
import torch

import evenflow
from evenflow.tape import home, places, texts
from evenflow.tape.places import ENGINE, LIBRARY, NONE, STRING, THEIRS, kind_of, named

SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (__file__, THEIRS),
        ("/home/me/train.py", THEIRS),
        ("<ipython-input-3-abc>", THEIRS),
        ("/env/lib/python3/site-packages/lib/a.py", LIBRARY),
        ("/usr/lib/python3/dist-packages/lib/a.py", LIBRARY),
        (torch.nn.__file__, NONE),
        (torch.autograd.graph.__file__, ENGINE),
        (evenflow.__file__, NONE),
        (os.__file__, NONE),
        (str(SCRIPTS / "pytest"), NONE),
        ("<frozen importlib._bootstrap>", NONE),
        ("<eval_with_key>.0", NONE),
        ("<string>", STRING),
        ("<doctest __main__[0]>", STRING),
    ],
)
def test_whose_a_file_is(file: str, kind: int) -> None:
    assert kind_of(file) == kind


def test_what_pip_puts_elsewhere_is_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib" / "lib-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    file = str(tmp_path / "lib" / "lib" / "model.py")
    assert kind_of(file) == LIBRARY
    assert named(file, str(tmp_path), library=True) == "lib/model.py"
    as_main(monkeypatch, __file__=str(tmp_path / "lib" / "train.py"))
    assert kind_of(file) == THEIRS  # installed beside the script: it is not to be told apart


def as_main(monkeypatch: pytest.MonkeyPatch, **names: Any) -> None:
    main = types.ModuleType("__main__")
    vars(main).update(names)
    monkeypatch.setitem(sys.modules, "__main__", main)


def test_the_scripts_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(folder: Path) -> str:
        return os.path.join(folder, "")

    as_main(monkeypatch, __file__=str(tmp_path / "a" / "train.py"))
    assert home(str(tmp_path)) == inside(tmp_path / "a")
    as_main(monkeypatch, __file__=str(SCRIPTS / "pytest"))
    assert home(str(tmp_path)) == inside(tmp_path)
    as_main(monkeypatch)  # a notebook
    assert home(str(tmp_path)) == inside(tmp_path)


@pytest.mark.parametrize(("package", "own"), [("train_it", True), ("IPython", False)])
def test_a_package_that_is_run_is_the_users(
    package: str, own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages" / package
    module = types.ModuleType(package)
    module.__file__ = str(folder / "__init__.py")
    monkeypatch.setitem(sys.modules, package, module)
    spec = types.SimpleNamespace(name=f"{package}.__main__")
    as_main(monkeypatch, __file__=str(folder / "__main__.py"), __spec__=spec)
    assert kind_of(str(folder / "a.py")) == (THEIRS if own else LIBRARY)
    assert home(str(tmp_path)) == os.path.join(folder if own else tmp_path, "")


def test_files_are_named_from_the_folder_of_the_training(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert named(str(tmp_path / "a" / "b.py"), folder, False) == "a/b.py"
    assert named("/elsewhere/b.py", folder, False) == "/elsewhere/b.py"
    assert named(f"{folder}2/b.py", folder, False) == f"{folder}2/b.py"
    assert places.cell("/elsewhere/b.py") == ""


@pytest.mark.filterwarnings("error")
def test_a_text_is_what_was_compiled_or_nothing(tmp_path: Path) -> None:
    def compiled(name: str, old: bool) -> Any:
        path = tmp_path / name
        path.write_text('a = "\\d"\nb = 4\n')
        if old:
            os.utime(path, (time.time() - 1e6,) * 2)
        texts.met(str(path))
        codes = [compile(f"a = 1\nb = {n}\n", str(path), "exec") for n in (4, 8)]
        return codes

    for code in compiled("old.py", old=True):
        assert texts.text_of(code, 2) == "b = 4"
    for code in compiled("new.py", old=False):  # it may have been changed since it began to run
        assert texts.text_of(code, 2) == "" and texts.texts_beside(code, 2) == {}


def test_a_file_that_cannot_be_read_has_no_text(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_bytes(b"a = 1\n\xff\xfe\n")
    code = compile("a = 1", str(file), "exec")
    texts.met(str(file))
    assert texts.text_of(code, 1) == ""
    texts.met(str(tmp_path / "missing.py"))
    assert texts.text_of(compile("a = 1", str(tmp_path / "missing.py"), "exec"), 1) == ""
