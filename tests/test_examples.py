"""Every public function's docstring has an example, and doctest runs it as a reader would paste it.

Examples bring their own imports and tidy up; what they write lies in the test's own folder.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import tempfile
from pathlib import Path
from typing import Any

import pytest

import evenflow

#: What is told of beside `evenflow.__all__`, by the package in whose door it stands.
DOCUMENTED = {
    "activations": "as_data card critical_at critical_steady critical_without_bias curve expect "
    "expect_pair find get names shape_of table text",
    "fit": "NetworkClassifier NetworkRegressor fit_file predict_file",
    "forecast": "beside dtype_named forecast_static lines parse_input save",
    "ledger": "headline",
    "schema": "allowed channel interventions metric_named parse_treatments treatment_text",
    "treatments": "courses kinds of_run parse positive read with_gradients",
}


def is_called(thing: Any) -> bool:
    """A function, or a class with public methods of its own."""
    if not inspect.isclass(thing):
        return inspect.isfunction(thing)
    methods = [value for name, value in vars(thing).items() if not name.startswith("_")]
    return any(inspect.isfunction(m) or isinstance(m, (classmethod, staticmethod)) for m in methods)


PUBLIC = [f"evenflow.{n}" for n in evenflow.__all__ if is_called(getattr(evenflow, n))]
PUBLIC += [f"evenflow.{door}.{n}" for door, names in DOCUMENTED.items() for n in names.split()]
PUBLIC += ["evenflow.miniature"]  # the file as one: it is to be short (tests/miniature)


def examined(thing: Any, name: str) -> str:
    """What is wrong with the examples of a function or a class; "" where all is well."""
    told: list[str] = []
    # An empty session, but for the observers', which speak of records as if they were imported.
    home = "evenflow.monitor.observer"
    observer = getattr(thing, "__module__", "") == home
    globs = dict(vars(importlib.import_module(home))) if observer else {}
    runner = doctest.DocTestRunner(verbose=False)
    finder = doctest.DocTestFinder(recurse=inspect.isclass(thing))
    for example in finder.find(thing, name, module=False, globs=globs):
        runner.run(example, out=told.append)
    return "".join(told) or ("" if runner.tries else f"{name} has no example")


@pytest.mark.parametrize("name", PUBLIC)
def test_its_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    door, _, last = name.rpartition(".")
    # In the door first: `evenflow.forecast.beside` is a module as well.
    thing = getattr(importlib.import_module(door), last, None) or importlib.import_module(name)
    assert not examined(thing, name)


def test_what_has_no_example_or_a_false_one_is_noticed() -> None:
    def silent() -> None:
        """Told in words only."""

    def false() -> None:
        """
        >>> 1 + 1
        3
        """

    def from_elsewhere() -> None:
        """
        >>> evenflow.__version__ > ""
        True
        """

    class Method:
        def one(self) -> None:
            """
            >>> 1 + 1
            2
            """

    assert examined(silent, "silent") == "silent has no example"
    assert "Expected:\n    3\nGot:\n    2" in examined(false, "false")
    assert "NameError" in examined(from_elsewhere, "from_elsewhere")
    assert examined(Method, "Method") == "" and is_called(Method)
    assert {"evenflow.diagnose", "evenflow.Undo", "evenflow.cure"} <= set(PUBLIC)
    assert "evenflow.SiteKey" not in PUBLIC  # a record of plain values
