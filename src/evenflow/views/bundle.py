"""The page's modules as one script, for a file of its own, which can import nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

_IMPORT = re.compile(r'^import (?:(\w+)|\{ ([^}]+) \}) from "\./([\w./-]+)";$', re.M)
_NAMED = re.compile(r"^export ((?:async )?(?:function|class) (\w+)|const (\w+) ?=)", re.M)
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
#: Several of one line: `export const A = 1, B = 2;`.
_MORE = re.compile(r"^export const (\w+ = \w+(?:, \w+ = \w+)+);$", re.M)
_DEFAULT = re.compile(r"^export \{ (\w+) as default \};$", re.M)


def asset(name: str) -> str:
    """The text of one of the page's files. OSError, ValueError: there is none."""
    at = files(__package__).joinpath("assets")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise FileNotFoundError(name)
        at = at.joinpath(part)
    return at.read_text(encoding="utf-8")


@lru_cache
def script(entry: str) -> str:
    """A module and all that it imports, each in a function of its own, what is imported first."""
    done: dict[str, str] = {}
    _take(entry, done, ())
    return "\n".join(done.values())


def _take(name: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    if name in done:
        return
    if name in above:
        raise ValueError(f"modules import each other: {' > '.join((*above, name))}")
    text = asset(name)
    for match in _IMPORT.finditer(text):
        _take(match[3], done, (*above, name))
    text = _IMPORT.sub(_fetched, _COMMENT.sub("", text))
    given = [m[2] or m[3] for m in _NAMED.finditer(text) if not _MORE.match(text, m.start())]
    for match in _MORE.finditer(text):
        given += re.findall(r"(\w+) = ", match[1])
    default = _DEFAULT.search(text)
    given += [f"default: {default[1]}"] if default else []
    text = re.sub(r"^export (?!\{)", "", _DEFAULT.sub("", text), flags=re.M)
    left = re.search(r"^(?:import|export)\b.*", text, re.M)
    if left:
        raise ValueError(f"{name} has a line that is not understood: {left[0]!r}")
    done[name] = (
        f"const {_held(name)} = (() => {{\n{text}\nreturn {{ {', '.join(given)} }};\n}})();"
    )


def _fetched(match: re.Match[str]) -> str:
    names = f"default: {match[1]}" if match[1] else match[2].replace(" as ", ": ")
    return f"const {{ {names} }} = {_held(match[3])};"


def _held(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))
