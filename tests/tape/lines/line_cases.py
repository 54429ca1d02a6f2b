"""Scripts that say themselves which of their lines made and ran what, and the judge of a run.

A `*.cases` file holds many, in the manner of mypy's test data:

    [case NAME]             with `slow` after it, it is left to the slow tests
    [run evenflow train.py] or `python FILE`, `evenflow -m MODULE`, `pytest`, `cells`
    [env NAME=VALUE]
    [file train.py]         its text follows, as it is, or what `latin-1`, `bom`, `crlf`, `long`
                            makes of it; `library`: it is installed; `untold`: no text of it is kept
    [cell 3]                it is written to 3.py, and run as that cell of a notebook
    [link train.py real.py]

A comment on a line names what is told of it: `# made: fc1`, `# called: fc1 relu#1`,
`# stepped: SGD`; `made[3]`: each with its turn of three; `?`: it need not be told. `@` and a text
say which piece of the line it is (no spaces in it). What is told of a line that does not name it is
wrong, and so is what is named and told nowhere.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from evenflow.schema import Parameter, Run, Site, Where, source_of

_MARK = re.compile(r"\b(made|called|stepped)(\[\d+\])?(\?)?: ((?:(?!\b\w+(?:\[\d+\])?\??: ).)*)")


@dataclass
class Case:
    """A program of one or several files, and how it is run."""

    name: str
    slow: bool
    run: list[str] = field(default_factory=lambda: ["evenflow", "train.py"])
    env: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)
    untold: set[str] = field(default_factory=set)  # files of which no text is kept

    def add(self, name: str, how: list[str], lines: list[str]) -> None:
        text = "\n".join(lines).strip("\n").replace("»", "\t") + "\n"
        if "long" in how:
            text = "a = 1\n" * 5000 + text
        self.texts[name] = text.splitlines()
        end = "\r\n" if "crlf" in how else "\n"
        encoding = "latin-1" if "latin-1" in how else "utf-8-sig" if "bom" in how else "utf-8"
        if "library" in how:
            self.libraries.add(name)
            self.untold.add(name)
            name = f"env/lib/python3/site-packages/{name}"
        if "untold" in how:
            self.untold.add(name)
        if name.startswith("cell "):
            name = f"{name[5:]}.py"
        self.files[name] = text.replace("\n", end).encode(encoding)

    def write(self, folder: Path) -> None:
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        for name, target in self.links.items():
            (folder / name).symlink_to(target)


def cases(path: Path) -> Iterator[Case]:
    """Those of one file."""
    case, name, how, lines = Case("", False), "", [""], list[str]()
    for line in [*path.read_text(encoding="utf-8").split("\n"), "[case ]"]:
        word, _, rest = line[1:-1].partition(" ")
        if not re.fullmatch(r"\[(case|run|env|file|cell|link|options)\b.*\]", line):
            lines.append(line)
            continue
        if name:
            case.add(name, how, lines)
        name, lines = "", []
        if word == "case":
            if case.name:
                yield case
            case = Case(rest.split(" ")[0], rest.endswith(" slow"))
        elif word == "run":
            case.run = rest.split()
        elif word == "options":
            case.options = rest.split()
        elif word == "link":
            link, target = rest.split()
            case.links[link], case.texts[link] = target, case.texts.pop(target)
        elif word == "env":
            case.env.update([rest.split("=", 1)])
        elif word == "cell":
            name, how = f"cell {rest}", [""]
        else:
            name, *how = rest.split()


class Claim(NamedTuple):
    """What a run tells: the line, and all that a mark may call the thing it is told of."""

    where: Where
    name: str
    names: frozenset[str]
    order: tuple[Any, ...]


class Mark(NamedTuple):
    """What a script says of a line of its own."""

    how: str
    file: str
    line: int
    turns: int
    sure: bool
    name: str
    piece: str


def marks(case: Case) -> list[Mark]:
    found = []
    for file, lines in case.texts.items():
        for number, text in enumerate(lines, 1):
            for how, turns, maybe, names in _MARK.findall(text.partition("# ")[2]):
                for word in names.split():
                    name, _, piece = word.partition("@")
                    turn = int(turns[1:-1] or 0) if turns else 0
                    found.append(Mark(how, file, number, turn, not maybe, name, piece))
    return found


def claims(run: Run) -> list[Claim]:
    told = []
    for site in run.sites:
        names, order = _site_names(site), (site.root, _natural(site.path), site.id)
        told += [Claim(w, site.name, names, order) for w in (*site.made, *site.called)]
    for param in run.params:
        names, order = _param_names(param), ("", _natural(param.name), -1)
        told += [Claim(w, param.name, names, order) for w in param.made]
    for i, optimizer in enumerate(run.meta["optimizers"]):
        for row in (*optimizer.get("made", ()), *optimizer.get("stepped", ())):
            name = optimizer["class"]
            names = frozenset({name, f"{name}#{i}"})
            told.append(Claim(Where.from_dict(row), name, names, ("", (), i)))
    return told


def _natural(path: str) -> tuple[Any, ...]:
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in path.split("."))


def _site_names(site: Site) -> frozenset[str]:
    op = {site.op, f"{site.op}#{site.index}"}
    here = {f"{site.path}:{o}" for o in op} | {f"{site.root}:{o}" for o in op}
    whole = {f"{site.root}/{n}" for n in (site.path, *here)}
    return frozenset((op | here | whole | {site.path}) - {""})


def _param_names(param: Parameter) -> frozenset[str]:
    root, _, path = param.name.partition(".")
    module = path.rpartition(".")[0]
    return frozenset({param.name, path, module, f"{root}/{module}"} - {""})


def wrong(case: Case, run: Run, folder: Path) -> list[str]:
    """All that is told wrongly of a case, or not at all."""
    out, met = list[str](), set[Mark]()
    turns = defaultdict[tuple[str, int, int], list[Claim]](list)
    by_line = defaultdict[tuple[str, str, int], list[Mark]](list)
    for mark in marks(case):
        by_line[mark.how, mark.file, mark.line].append(mark)
    for claim in claims(run):
        where = claim.where
        said = f"{where.how} at {where.place} {where.function!r}: {claim.name}"
        file = where.file.removeprefix(f"{folder.resolve()}/")
        here = by_line[where.how, file, where.line]
        fits = [m for m in here if any(fnmatchcase(n, m.name) for n in claim.names)]
        if not fits:
            out.append(f"{said}: the line does not say so")
            continue
        met.update(fits)
        out += [f"{said}: {why}" for why in _text_wrong(case, run, where, file)]
        if where.library:
            continue
        if where.turns not in {m.turns for m in fits}:
            out.append(f"{said}: turn {where.turn} of {where.turns}")
        piece, wanted = _piece(case, where, file), {m.piece for m in fits if m.piece}
        if wanted and piece and piece.replace(" ", "") not in wanted:
            out.append(f"{said}: it is said of {piece!r}")
        if where.turn and claim.order[0]:
            turns[file, where.line, where.column].append(claim)
    for place, rows in turns.items():
        nth = list(dict.fromkeys(r.where.turn for r in sorted(rows, key=lambda r: r.order[:2])))
        if nth != list(range(1, rows[0].where.turns + 1)):
            out.append(f"turns of {place} are {nth}")
    lost = {m for ms in by_line.values() for m in ms if m.sure} - met
    return out + [f"{m.how} at {m.file}:{m.line}: {m.name} is not told" for m in sorted(lost)]


def _text_wrong(case: Case, run: Run, where: Where, file: str) -> Iterator[str]:
    """The text that is kept is the line's own, and the columns are those of a piece of code."""
    kept, line = source_of(run.meta, where), case.texts[file][where.line - 1]
    if where.library != (file in case.libraries):
        yield f"the file is a library's: {where.library}"
    if kept != ("" if file in case.untold else line):
        yield f"the text kept is {kept!r}"
    piece = _piece(case, where, file)
    if file in case.untold and not where.library:
        return
    try:
        ast.parse(piece.strip() or "0")
    except SyntaxError:
        if line[where.end - 1 :].partition("#")[0].strip():  # else it goes on in the next line
            yield f"columns {where.column} to {where.end} are {piece!r}"


def _piece(case: Case, where: Where, file: str) -> str:
    line = case.texts[file][where.line - 1]
    return line[where.column - 1 : where.end - 1] if where.column else ""
