"""A second copy of `evenflow.faults` that notes which of its branches a run has reached.

The copy is compiled from the same source, with a mark in each place where a rule decides: it is
told by what runs, not by line numbers, and a branch that is added is found on arrival.

    block    what follows a condition: the body of an `if`, its `else`, the rest after a way out
    either   one side of `a if c else b`
    or       one operand of an `or` that alone makes it true

Left out is what says nothing: a way out (`return`, `return False`, `continue`), an empty side
(`()`, `""`, NaN) and the `or` of a condition for a way out.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import evenflow.faults

COPY = "evenflow.faults_marked"
FOLDER = Path(evenflow.faults.__file__).parent
#: The frame: it runs rules and decides nothing about a network.
FRAME = frozenset({"__init__", "asked", "base", "judge", "pages", "select", "series", "graph"})
MODULES = tuple(sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in FRAME))

#: Nothing, as arrays and floats say it.
_BLANK = re.compile(
    r"(np\.|)(inf|nan|NAN)|float\('(nan|inf)'\)|np\.float64\('nan'\)|(frozenset|set|dict)\(\)"
    r"|np\.(empty|zeros|zeros_like)\(.*\)|np\.full\(.*, np\.nan\)"
)


def _empty(node: ast.expr | None) -> bool:
    """Whether an expression says nothing: None, False, zero, NaN, "" or an empty container."""
    if node is None:
        return True
    if isinstance(node, ast.UnaryOp):
        return _empty(node.operand) or ast.unparse(node) == "-1"
    if isinstance(node, ast.Constant):
        return not node.value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(_empty(e) for e in node.elts)
    if isinstance(node, ast.Dict):
        return not node.keys
    return _BLANK.fullmatch(ast.unparse(node)) is not None


def _way_out(body: Sequence[ast.stmt]) -> bool:
    only = body[0]
    return len(body) == 1 and (
        isinstance(only, ast.Continue | ast.Break | ast.Pass | ast.Raise)
        or (isinstance(only, ast.Return) and _empty(only.value))
    )


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Continue | ast.Break | ast.Raise | ast.Return)


class Marker(ast.NodeTransformer):
    """Puts the marks into one module and lists them in `points`."""

    def __init__(self, module: str) -> None:
        self.where = [module.split("_")[0] if module[:2] == "ef" else module]
        self.points: list[str] = []
        self.count: Counter[str] = Counter()

    def point(self, kind: str, what: ast.AST | str) -> ast.Constant:
        text = what if isinstance(what, str) else ast.unparse(what)
        name = f"{'.'.join(self.where)}: {kind} {' '.join(text.split())[:160]}"
        self.count[name] += 1
        if self.count[name] > 1:
            name += f" #{self.count[name]}"
        self.points.append(name)
        return ast.Constant(name)

    def mark(self, kind: str, what: ast.AST | str) -> ast.stmt:
        call = ast.Call(ast.Name("__seen__", ast.Load()), [self.point(kind, what)], [])
        return ast.Expr(call)

    # --- statements ----------------------------------------------------------------------------

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for i, s in enumerate(body):
            test = ast.unparse(s.test) if isinstance(s, ast.If) else ""
            ends = isinstance(s, ast.If) and not s.orelse and _leaves(s.body)
            out.append(self.visit(s))
            if ends and body[i + 1 :] and not _way_out(body[i + 1 :]):
                out.append(self.mark("not", test))
        return out

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.where.append(node.name)
        node.body = self.block(node.body)
        self.where.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.where.append(node.name) if node.name[0] == "_" else None
        node.body = [self.visit(s) for s in node.body]
        self.where.pop() if node.name[0] == "_" else None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        test, out = ast.unparse(node.test), _way_out(node.body)
        if test == "TYPE_CHECKING":
            return node
        if not out:
            node.test = self.visit(node.test)
        mark = [] if out else [self.mark("if", test)]
        node.body = mark + self.block(node.body)
        if node.orelse:
            chained = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
            bare = chained or _way_out(node.orelse)
            mark = [] if bare else [self.mark("else of", test)]
            node.orelse = mark + self.block(node.orelse)
        return node

    def loop(self, node: Any) -> ast.AST:
        head = ast.unparse(node.iter if isinstance(node, ast.For) else node.test)
        if isinstance(node, ast.For):
            node.iter = self.visit(node.iter)
        else:
            node.test = self.visit(node.test)
        node.body = [self.mark("for", head), *self.block(node.body)]
        node.orelse = self.block(node.orelse)
        return node

    visit_For = visit_While = loop

    def visit_With(self, node: ast.With) -> ast.AST:
        node.body = self.block(node.body)
        return node

    # --- expressions ---------------------------------------------------------------------------

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        test = ast.unparse(node.test)
        node.test = self.visit(node.test)
        for side in ("body", "orelse"):
            value = getattr(node, side)
            bare, text = _empty(value), ast.unparse(value)
            value = self.visit(value)
            if not bare:
                said = f"{text} if {'' if side == 'body' else 'not '}{test}"
                value = self.call("__seen__", "either", said, value)
            setattr(node, side, value)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        texts = [ast.unparse(v) for v in node.values]
        bare = [_empty(v) for v in node.values]
        node.values = [self.visit(v) for v in node.values]
        if isinstance(node.op, ast.Or):
            whole = " or ".join(texts)
            node.values = [
                v if b else self.call("__true__", "or", f"{t} of {whole}", v)
                for v, t, b in zip(node.values, texts, bare, strict=True)
            ]
        return node

    def call(self, function: str, kind: str, what: str, value: ast.expr) -> ast.expr:
        point = self.point(kind, what)
        return ast.Call(ast.Name(function, ast.Load()), [point, value], [])


def marks(module: str) -> tuple[ast.Module, list[str]]:
    """The marked tree of a module of `evenflow.faults`, and the names of its marks."""
    marker = Marker(module)
    tree = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))
    tree.body = [marker.visit(s) for s in tree.body]
    return ast.fix_missing_locations(tree), marker.points


class Marked(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the copy; `seen` holds the marks that were passed."""

    def __init__(self) -> None:
        self.points: list[str] = []
        self.seen: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != COPY and not name.startswith(f"{COPY}."):
            return None
        stem = name.removeprefix(COPY).removeprefix(".")
        file = str(FOLDER / f"{stem or '__init__'}.py")
        return importlib.util.spec_from_file_location(
            name, file, loader=self, submodule_search_locations=None if stem else [str(FOLDER)]
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        stem = module.__name__.removeprefix(COPY).removeprefix(".") or "__init__"
        if stem in MODULES:
            tree, points = marks(stem)
            self.points += points
        else:
            tree = ast.parse((FOLDER / f"{stem}.py").read_text(encoding="utf-8"))
        vars(module).update(__seen__=self._seen, __true__=self._true)
        exec(compile(tree, str(FOLDER / f"{stem}.py"), "exec"), vars(module))

    def _seen(self, point: str, value: Any = None) -> Any:
        self.seen.add(point)
        return value

    def _true(self, point: str, value: Any) -> Any:
        if value is not None and (value.any() if hasattr(value, "any") else value):
            self.seen.add(point)
        return value


@contextmanager
def marked() -> Iterator[tuple[Marked, ModuleType]]:
    """The copy, imported anew; gone from `sys.modules` afterwards."""
    finder = Marked()
    sys.meta_path.insert(0, finder)
    try:
        yield finder, importlib.import_module(COPY)
    finally:
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n == COPY or n.startswith(f"{COPY}.")]:
            del sys.modules[name]
        if hasattr(sys.modules["evenflow"], "faults_marked"):
            del sys.modules["evenflow"].faults_marked
