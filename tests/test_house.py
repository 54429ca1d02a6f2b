"""The house: no circles, one name a class, short functions and files, packages entered by doors.

What stands under `TYPE_CHECKING` or within a function counts as well. A package's door is its
`__init__`: what that names is public, and the rest is the package's own.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "evenflow"
#: Names of files that any package may have.
COMMON = ("__init__", "base", "registry")
#: Module -> its tree; a package is its `__init__`.
Trees = Mapping[str, ast.Module]


class Import(NamedTuple):
    """`from origin import name`, by its full names."""

    importer: str
    origin: str
    name: str


@cache
def read() -> Trees:
    trees = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        trees[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return trees


def imports(trees: Trees) -> Iterator[Import]:
    """Ours, the relative ones made whole."""
    inner = packages(trees)
    for importer, tree in trees.items():
        inside = importer if importer in inner else importer.rpartition(".")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (Import(importer, a.name, "") for a in node.names if a.name in trees)
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(inside.split(".")[: inside.count(".") + 2 - node.level])
                origin = ".".join(filter(None, (base if node.level else "", node.module)))
                if origin in trees:
                    yield from (Import(importer, origin, a.name) for a in node.names)


def packages(trees: Trees) -> set[str]:
    return {module.rpartition(".")[0] for module in trees}


def past_doors(trees: Trees) -> list[str]:
    """Imports of what another package does not show at its door."""
    found = []
    inner = packages(trees)
    for each in imports(trees):
        own, other = (m.split(".")[1:2] for m in (each.importer, each.origin))
        package = ".".join(["evenflow", *other])
        if not other or own == other or package not in inner:
            continue
        hidden = f"{package}.{each.name}" in trees and each.name not in shown(trees[package])
        if each.origin != package or hidden:
            found.append(f"{each.importer}: {each.origin} {each.name}")
    return found


def shown(door: ast.Module) -> set[str]:
    nodes = [n for n in ast.walk(door) if isinstance(n, ast.ImportFrom)]
    return {a.asname or a.name for n in nodes for a in n.names}


def circles(trees: Trees) -> list[str]:
    """Modules that import one another, by whatever way: what is left without loose ends."""
    edges: dict[str, set[str]] = {module: set() for module in trees}
    for each in imports(trees):
        inner = f"{each.origin}.{each.name}"
        to = inner if inner in trees else each.origin
        edges[each.importer] |= {to} - {each.importer}
    left = set(edges)
    while True:
        aimed = {to for m in left for to in edges[m] & left}
        ends = {m for m in left if m not in aimed or not edges[m] & left}
        if not ends:
            return sorted(left)
        left -= ends


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def often(names: Iterable[str], times: int) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count >= times)


def classes(trees: Trees) -> Iterator[str]:
    for tree in trees.values():
        yield from (n.name for n in tree.body if isinstance(n, ast.ClassDef))


def test_no_import_goes_past_a_door() -> None:
    assert past_doors(read()) == []


def test_no_circles() -> None:
    assert circles(read()) == []


def test_no_class_has_another_ones_name() -> None:
    assert often(classes(read()), 2) == []


def test_no_files_name_stands_three_times() -> None:
    stems = (path.stem for path in SOURCE.rglob("*.py"))
    assert often((stem for stem in stems if stem not in COMMON), 3) == []


def test_functions_and_files_are_short() -> None:
    found = {m: {f.name: lines(f) for f in functions(tree)} for m, tree in read().items()}
    assert not [(m, name) for m, of in found.items() for name, n in of.items() if n > 60]
    assert not [p for p in SOURCE.rglob("*.py") if len(p.read_text().splitlines()) > 400]


def house(**files: str) -> dict[str, ast.Module]:
    texts = {
        "": "",
        "a": "from .in_ import A",
        "a.in_": "class A: ...",
        "b": "",
        "b.x": "",
        "b.y": "",
    }
    texts |= {name.replace("_of_", "."): text for name, text in files.items()}
    return {f"evenflow.{m}".removesuffix("."): ast.parse(text) for m, text in texts.items()}


@pytest.mark.parametrize(
    "text",
    [
        "from ..a.in_ import A",
        "from ..a import in_",
        "from evenflow.a.in_ import A",
        "import evenflow.a.in_",
        "def late():\n    from ..a.in_ import A",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..a.in_ import A",
    ],
)
def test_the_count_of_doors_can_fail(text: str) -> None:
    assert len(past_doors(house(b_of_x=text))) == 1
    assert past_doors(house(b_of_x="from ..a import A\nfrom .y import z")) == []
    assert past_doors(house(a="from . import in_ as in_", b_of_x="from ..a import in_")) == []


@pytest.mark.parametrize(
    "texts",
    [
        {"b_of_x": "from .y import z", "b_of_y": "def late():\n    from .x import z"},
        {"b_of_x": "from . import y", "b_of_y": "if TYPE_CHECKING:\n    from .x import z"},
        {"b": "from .x import z", "b_of_x": "from .y import z", "b_of_y": "from . import q"},
    ],
)
def test_the_count_of_circles_can_fail(texts: dict[str, str]) -> None:
    assert {"evenflow.b.x", "evenflow.b.y"} <= set(circles(house(**texts)))
    assert circles(house(b_of_x="from .y import z", b="from .x import z")) == []


def test_the_other_counts_can_fail() -> None:
    twice = house(b_of_x="class A: ...")
    assert often(classes(twice), 2) == ["A"]
    assert often(["a", "b", "a", "a"], 3) == ["a"]
    long = ast.parse("def f():\n" + "    0\n" * 60)
    assert [lines(f) for f in functions(long)] == [61]
