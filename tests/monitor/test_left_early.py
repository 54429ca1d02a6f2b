"""No generator of ours is left before its end where a user's training may be interrupted.

What takes no more of a generator than it needs (`any`, `all`, `next`, a loop with `break`) drops
it, and Python closes what is dropped: it runs the generator's frame once more, to end it. An error
that a signal handler raises just then (the user's time limit; Ctrl-C) is reported as "Exception
ignored in <generator>" and is gone. In a generator with a `finally` half of all signals are lost
so, in a plain one those that strike under a profiler or tracer written in Python. Hence on these
paths: a list (`any([...])`), `map` (which is no generator and stops early), or a plain loop.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import evenflow

SOURCE = Path(evenflow.__file__).parent
PACKAGES = ("tape", "monitor")
#: Generators of nn.Module's.
TORCHS = {
    f"{named}{what}"
    for named in ("", "named_")
    for what in ("parameters", "buffers", "modules", "children")
}
#: These hand on what they are given, one by one.
_PASS_ON = {"map", "zip", "enumerate", "filter", "iter"}
_STOP_EARLY = {"any", "all", "next", "isdisjoint", "issuperset"}


def name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def generators(tree: ast.AST) -> set[str]:
    """Names of the functions that are generators."""
    return {
        f.name
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef)
        and any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in within(f.body))
    }


def within(body: list[ast.stmt], loops: bool = True) -> Iterator[ast.AST]:
    """All nodes, but not those of functions and classes inside; nor (`loops`) of inner loops."""
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if not loops and isinstance(node, (ast.For, ast.While)):
            todo += [n for n in within(node.body) if isinstance(n, ast.Return)]
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)


def is_generator(node: ast.AST, known: set[str]) -> bool:
    if isinstance(node, ast.GeneratorExp):
        return True
    if not isinstance(node, ast.Call):
        return False
    if name(node) in _PASS_ON:
        return any(is_generator(a, known) for a in node.args)
    return name(node) in known


def left_early(tree: ast.AST, known: set[str]) -> list[int]:
    """Lines where a generator may be left before its end."""
    known = known | generators(tree)
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name(node) in _STOP_EARLY:
            if any(is_generator(a, known) for a in node.args):
                lines.append(node.lineno)
        elif isinstance(node, ast.For) and is_generator(node.iter, known):
            ends = within(node.body, loops=False)
            if any(isinstance(n, (ast.Break, ast.Return)) for n in ends):
                lines.append(node.lineno)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            lines += [node.lineno] * is_generator(node.comparators[0], known)
    return lines


def test_none_is_left_early_where_signals_strike() -> None:
    trees = {p: ast.parse(p.read_text(encoding="utf-8")) for p in SOURCE.rglob("*.py")}
    known = TORCHS.union(*map(generators, trees.values()))
    ours = {p: t for p, t in trees.items() if p.relative_to(SOURCE).parts[0] in PACKAGES}
    assert len(ours) > 50
    found = [f"{p.relative_to(SOURCE)}:{n}" for p, t in ours.items() for n in left_early(t, known)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("any(x for x in xs)", 1),
        ("first = next((x for x in xs), None)", 1),
        ("next(net.parameters(), None)", 1),
        ("seen.isdisjoint(map(id, net.parameters()))", 1),
        ("x in (y for y in ys)", 1),
        ("for i, p in enumerate(net.parameters()):\n  if p: break", 1),
        ("for p in net.modules():\n  for q in p:\n    return q", 1),
        ("def f():\n  yield 1\nall(map(bool, f()))", 1),
        ("any([x for x in xs])", 0),
        ("all(map(bool, xs))", 0),
        ("next(iter(xs), None)", 0),
        ("sum(x for x in xs)", 0),
        ("for p in net.parameters():\n  for q in p:\n    break", 0),
        ("for p in net.parameters():\n  def f(): return p", 0),
        ("for p in list(net.parameters()):\n  break", 0),
    ],
)
def test_the_test_can_fail(text: str, count: int) -> None:
    assert len(left_early(ast.parse(text), TORCHS)) == count


def test_nothing_of_ours_runs_when_an_object_dies() -> None:
    """What a handler raises in a `__del__` or in a weak reference's callback is swallowed, too."""
    calls = {"WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "finalize"}
    found = []
    for path in [p for package in PACKAGES for p in (SOURCE / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            dies = isinstance(node, ast.FunctionDef) and node.name == "__del__"
            if isinstance(node, ast.Call):
                dies = name(node) in calls or (name(node) == "ref" and len(node.args) > 1)
            if dies:
                found.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert found == []
