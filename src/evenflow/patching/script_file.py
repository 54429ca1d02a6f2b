"""One source file while it is edited: LibCST says where everything stands, edits are spliced in.

Splices leave every other character of the file as it was, so that formatting and comments are kept
by construction; `render` parses the result again and refuses to hand out what is no Python.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider

from ..lang import _
from .patch import CannotPatch
from .sources import SourceText, indent_unit
from .wrapping import width_of

#: Statements, each with lines of its own.
STATEMENT = (cst.SimpleStatementLine, cst.BaseCompoundStatement)


class Splice(NamedTuple):
    """Text in the place of [start, end); those at one place keep the order they came in."""

    start: int
    end: int
    order: int
    text: str


class ScriptFile:
    """A file's tree with the place of each node, and the edits that wait to be made.

    Raises:
        CannotPatch: it is no Python that LibCST can read.
    """

    def __init__(self, name: str, source: SourceText) -> None:
        self.name, self.source, self.text = name, source, source.text
        try:
            tree = cst.parse_module(source.text)
        except cst.ParserSyntaxError as error:
            said = _(
                "{name}, line {line}: this is no Python that LibCST {version} can read; edit it by "
                "hand."
            )
            told = said.format(name=name, line=error.raw_line, version=cst.LIBCST_VERSION)
            raise CannotPatch(told) from None
        wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
        self.tree = wrapper.module
        self.places: Any = wrapper.resolve(PositionProvider)
        self.parents: Any = wrapper.resolve(ParentNodeProvider)
        self.starts = [0, *(m.end() for m in re.finditer(r"\r\n|\n|\r", self.text))]
        self.splices: list[Splice] = []
        self.unit, self.width = indent_unit(self.text), width_of(self.text)
        self.statements = [n for n in self.places if isinstance(n, STATEMENT)]

    # --- finding -------------------------------------------------------------------------------

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where a node's own text begins and ends, its parentheses with it."""
        place = self.places[node]
        begin = self.starts[place.start.line - 1] + place.start.column
        end = self.starts[place.end.line - 1] + place.end.column
        for _each in getattr(node, "lpar", ()):
            begin, end = self.text.rfind("(", 0, begin), self.text.find(")", end) + 1
        return begin, end

    def code(self, node: cst.CSTNode) -> str:
        """Its text as it stands."""
        begin, end = self.span(node)
        return self.text[begin:end]

    def line(self, node: cst.CSTNode) -> int:
        """Its first line, from 1."""
        return int(self.places[node].start.line)

    def statement_at(self, line: int) -> Any:
        """The smallest statement that holds a line; None if there is none."""
        best, size = None, None
        for node in self.statements:
            place = self.places[node]
            if place.start.line <= line <= place.end.line:
                length = place.end.line - place.start.line
                if size is None or length <= size:
                    best, size = node, length
        return best

    def inside(self, node: cst.CSTNode, kind: Any) -> Iterator[Any]:
        """All nodes of a kind within another, outermost first."""
        todo = [node]
        while todo:
            here = todo.pop(0)
            if isinstance(here, kind):
                yield here
            todo = [*here.children, *todo]

    def calls_at(self, line: int) -> list[cst.Call]:
        """Calls of the statement that holds a line; of a compound one, those of its head."""
        statement = self.statement_at(line)
        if statement is None:
            return []
        found = list(self.inside(statement, cst.Call))
        if isinstance(statement, cst.SimpleStatementLine):
            return found
        return [c for c in found if self.places[c].start.line <= line <= self.places[c].end.line]

    def calls(self) -> list[cst.Call]:
        """All calls of the file, in its order."""
        found = [n for n in self.places if isinstance(n, cst.Call)]
        return sorted(found, key=lambda c: self.span(c))

    def statement_of(self, node: cst.CSTNode) -> Any:
        """The statement that a node belongs to."""
        while not isinstance(node, STATEMENT):
            node = self.parents[node]
        return node

    def top_of(self, node: cst.CSTNode) -> Any:
        """The statement of the module's own level that a node lies in."""
        while self.parents[node] is not self.tree:
            node = self.parents[node]
        return node

    def within(self, node: cst.CSTNode, kind: Any) -> Any:
        """The innermost node of a kind around another; None."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, kind):
                return node
        return None

    # --- editing -------------------------------------------------------------------------------

    def replace(self, node: cst.CSTNode, text: str) -> None:
        """Other text in a node's place."""
        begin, end = self.span(node)
        if any((s.start, s.end, s.text) == (begin, end, text) for s in self.splices):
            return  # the same line makes part of two models
        self._splice(begin, end, text)

    def replace_text(self, begin: int, end: int, text: str) -> None:
        """Other text in the place of these characters."""
        self._splice(begin, end, text)

    def delete(self, statement: cst.CSTNode) -> None:
        """A statement and its lines."""
        first, last = self.line(statement) - 1, self.places[statement].end.line
        end = self.starts[last] if last < len(self.starts) else len(self.text)
        self._splice(self.starts[first], end, "")

    def reflow(self, call: cst.Call) -> None:
        """Break a call on one line at its brackets where the edits so far make it too long."""
        place = self.places[call]
        if place.start.line != place.end.line or not call.args:
            return
        start = self.starts[place.start.line - 1]
        end = start + len(self.text[start:].split("\n", 1)[0].rstrip("\r"))
        inside = [s for s in self.splices if start < s.start <= end]
        grown = sum(len(s.text) - s.end + s.start for s in inside)
        if not grown or end - start + grown <= self.width or any("\n" in s.text for s in inside):
            return
        indent = self.text[start:end][: -len(self.text[start:end].lstrip())]
        self.insert(self.span(call.args[0])[0], f"\n{indent}{self.unit}")
        self.insert(self.span(call)[1] - 1, f"\n{indent}")

    def insert(self, at: int, text: str) -> None:
        """Text before the character at `at`."""
        self._splice(at, at, text)

    def indent(self, statement: cst.CSTNode) -> str:
        """What stands before a statement on its line."""
        begin, _end = self.span(statement)
        start = self.starts[self.line(statement) - 1]
        return self.text[start:begin]

    def own_line(self, statement: cst.CSTNode) -> bool:
        """Nothing but blanks stands before it on its line, so lines can be put around it."""
        return not self.indent(statement).strip()

    def before(self, statement: cst.CSTNode, lines: Sequence[str]) -> None:
        """Lines above a statement, at its level, and above what is said of it there."""
        line, indent = self.line(statement), self.indent(statement)
        while line > 1 and self._comment(line - 2, indent):
            line -= 1
        start = self.starts[line - 1]
        self.insert(start, self._block(lines, indent))

    def _comment(self, index: int, indent: str) -> bool:
        """Is a line a comment at this level, and no mark of a notebook's cell?"""
        line = self.text[self.starts[index] : self.starts[index + 1]]
        said = line.removeprefix(indent)
        return said.startswith("#") and not re.match(r"#\s?(?:%%|In\s?\[|\+|-|!)", said)

    def after(self, statement: cst.CSTNode, lines: Sequence[str]) -> None:
        """Lines below a statement, at its level."""
        last = self.places[statement].end.line
        block = self._block(lines, self.indent(statement))
        if last < len(self.starts):
            self.insert(self.starts[last], block)
        else:  # the file's last line has no end
            self.insert(len(self.text), "\n" + block.rstrip("\n"))

    def _block(self, lines: Sequence[str], indent: str) -> str:
        return "".join(f"{indent}{self.levels(line)}\n" if line else "\n" for line in lines)

    def levels(self, line: str) -> str:
        """A line of ours (4 blanks a level) as this file indents."""
        bare = line.lstrip(" ")
        deep, rest = divmod(len(line) - len(bare), 4)
        return self.unit * deep + " " * rest + bare

    def _splice(self, start: int, end: int, text: str) -> None:
        self.splices.append(Splice(start, end, len(self.splices), text))

    def render(self) -> str:
        """The text with all edits made. CannotPatch if it is no Python any more."""
        out, at = [], 0
        newline = self.source.newline
        # what is inserted at the beginning of something that is replaced comes before it
        for splice in sorted(self.splices, key=lambda s: (s.start, s.end > s.start, s.order)):
            if splice.start < at:
                said = _("{name}: two edits meet at one place; make them by hand.")
                raise CannotPatch(said.format(name=self.name))
            made = splice.text.replace("\n", newline) if newline != "\n" else splice.text
            out += [self.text[at : splice.start], made]
            at = splice.end
        text = "".join([*out, self.text[at:]])
        try:
            cst.parse_module(text)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the script's own, if any
                compile(text, self.name, "exec", dont_inherit=True)
        except (cst.ParserSyntaxError, SyntaxError, ValueError) as error:
            said = _("{name}: the edited text is no Python ({error}); nothing is written.")
            raise CannotPatch(said.format(name=self.name, error=error)) from None
        return text
