"""Which names of torch a file has, and functions of ours put into it."""

from __future__ import annotations

import re
from typing import Any

import libcst as cst

from .script_file import ScriptFile
from .wrapping import tidy

#: What templates say in full; a file's own aliases take their place.
_MODULES = ("torch.nn.functional", "torch.nn", "torch.optim")


class Names:
    """Aliases of torch's modules at a file's top level, and the functions that edits add there."""

    def __init__(self, file: ScriptFile) -> None:
        self.file = file
        self.aliases: dict[str, str] = {}
        self.imports = [n for n in file.tree.body if _imports(n)]
        for statement in self.imports:
            for node in file.inside(statement, (cst.Import, cst.ImportFrom)):
                self._read(node)
        self.added: dict[str, str] = {}  # template -> the name it got
        self._waiting: dict[int, list[tuple[int, str, int]]] = {}  # place -> blanks, code, blanks
        self._imported = False

    def _read(self, node: Any) -> None:
        if isinstance(node.names, cst.ImportStar):
            return
        base = ""
        if isinstance(node, cst.ImportFrom):
            if node.relative or node.module is None:
                return
            base = self.file.code(node.module) + "."
        for each in node.names:
            full = base + self.file.code(each.name)
            if each.asname is not None:
                self.aliases[full] = self.file.code(each.asname.name)
            elif base:
                self.aliases[full] = full.rpartition(".")[2]
            else:
                self.aliases[full.partition(".")[0]] = full.partition(".")[0]

    def adapt(self, code: str) -> str:
        """Code that says `torch.nn.X`, by the file's own names; torch is imported where it must."""
        for module in _MODULES:
            alias = self.aliases.get(module)
            if alias is not None:
                code = re.sub(rf"\b{re.escape(module)}\.", f"{alias}.", code)
        if re.search(r"\btorch\.", code):
            code = self._with_torch(code)
        if self._single():
            code = re.sub(r'(?<!")"([^"\'\n]*)"(?!")', r"'\1'", code)
        return code

    def lines(self, said: list[str], indent: str) -> list[str]:
        """Lines of ours as they stand at a level, by the file's names and within its width."""
        code = "\n".join(map(self.adapt, said))
        return tidy(code, self.file.width - len(indent.expandtabs(4))).split("\n")

    def _with_torch(self, code: str) -> str:
        alias = self.aliases.get("torch")
        if alias is None and not self._imported:
            first = next((n for n in self.imports if "torch" in self.file.code(n)), None)
            if first is None or not self.file.own_line(first):
                return code.replace('"""\n', '"""\n    import torch\n\n', 1)
            self.file.before(first, ["import torch"])
            self._imported = True
        return re.sub(r"\btorch\.", f"{alias}.", code) if alias not in (None, "torch") else code

    def _single(self) -> bool:
        """The file quotes by apostrophes."""
        return self.file.text.count("'") > 2 * self.file.text.count('"')

    def function(self, template: str, near: cst.CSTNode) -> str:
        """Put a function (or class) into the file before it is called, once.

        Its name is the word after `def` or `class`, with a number where that is taken.
        """
        if template in self.added:
            return self.added[template]
        found = re.search(r"^(?:def|class) (\w+)", template, re.MULTILINE)
        assert found is not None
        name, k = found[1], 2
        while re.search(rf"\b{name}\b", self.file.text) or name in self.added.values():
            name, k = f"{found[1]}_{k}", k + 1
        self.added[template] = name
        code = self.adapt(re.sub(rf"\b{found[1]}\b", name, template)).strip("\n")
        code = tidy(code, self.file.width)
        lines = [self.file.levels(line) for line in code.split("\n")]
        at, before, after = self._room(near)
        self._waiting.setdefault(at, []).append((before, "\n".join(lines), after))
        return name

    def write(self) -> None:
        """The functions into the file, those of one place with two blank lines between them."""
        for at, found in self._waiting.items():
            body = "\n\n\n".join(code for _before, code, _after in found)
            before, _code, after = found[0]
            self.file.insert(at, "\n" * before + body + "\n" + "\n" * after)

    def _room(self, near: cst.CSTNode) -> tuple[int, int, int]:
        """Where a function is put, and the blank lines it needs there, above and below."""
        file, top = self.file, self.file.top_of(near)
        leading = []
        for statement in file.tree.body:
            if statement is top:
                break
            if _imports(statement):
                leading.append(statement)
            elif not _docstring(statement):
                break
        if leading:
            last = file.places[leading[-1]].end.line
            at = file.starts[last] if last < len(file.starts) else len(file.text)
            above = ""
        else:
            line = file.line(top)
            while line > 1 and file.text[file.starts[line - 2] :].startswith(("#", "@")):
                line -= 1
            at, above = file.starts[line - 1], file.text[: file.starts[line - 1]]
        before = 2 if leading else (2 - _blank_end(above) if above.strip() else 0)
        below = re.match(r"(?:[ \t]*\r?\n)*", file.text[at:])
        blanks = below[0].count("\n") if below is not None else 0
        return at, max(0, before), max(0, 2 - blanks)


def _imports(statement: Any) -> bool:
    simple = isinstance(statement, cst.SimpleStatementLine)
    return simple and any(isinstance(s, (cst.Import, cst.ImportFrom)) for s in statement.body)


def _docstring(statement: Any) -> bool:
    simple = isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1
    if not simple or not isinstance(statement.body[0], cst.Expr):
        return False
    return isinstance(statement.body[0].value, (cst.SimpleString, cst.ConcatenatedString))


def _blank_end(text: str) -> int:
    """How many blank lines a text ends with."""
    found = re.search(r"(?:\r?\n[ \t]*)*\r?\n\Z", text)
    return max(0, found[0].count("\n") - 1) if found else 0
