"""A lesson as text for a terminal."""

from __future__ import annotations

import math
import textwrap

from ..lang import _, language
from ..wrapping import cells_of, filled, has_wide, wrap
from .base import Cell, Lesson, Plot, Result, Table
from .charts import chart
from .lesson_words import told

WIDTH = 96
_PLAIN = {
    "δ": "delta", "Δ": "D", "∂": "d", "η": "eta", "α": "alpha", "⊙": ".", "·": "*", "½": "1/2",
    "²": "^2", "ᵀ": "^T", "√": "sqrt ", "Σ": "sum ", "±": "+-", "×": "x", "⟨": "<", "⟩": ">",
}  # fmt: skip


def cell(value: Cell) -> str:
    """A table's cell: numbers with four digits, whole ones whole."""
    if isinstance(value, str | int) or not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    return f"{value:.3e}"


def notes(lesson: Lesson, result: Result) -> list[str]:
    """Sentences on the numbers that were computed twice and on the seeds, where there are such."""
    twice = _(
        "{count} numbers of this lesson were found twice, read off autograd's tape and "
        "computed by `evenflow.miniature`; they agree within 1e-8 of their size (or 1e-12)."
    ).format(count=len(result.same))
    seeds = _("Counts and medians are over {count} seeds.").format(count=lesson.seeds)
    return [twice] * bool(result.same) + [seeds] * bool(lesson.seeds)


def see(lesson: Lesson) -> list[str]:
    """Commands that show what belongs to a lesson."""
    return [f"evenflow {x}" if " " in x else f"evenflow rules {x}" for x in lesson.see]


def terminal(
    lesson: Lesson,
    result: Result,
    width: int = WIDTH,
    unicode: bool = True,
    beside: tuple[str, str] = ("", ""),
) -> str:
    """The lesson as plain text of at most `width` columns (tables may be wider).

    Args:
        beside: names of the lessons before and after it, "" where there is none.
    """
    title = _(lesson.title)
    rule = ("═" if unicode else "=") * cells_of(title)
    out = f"{title}\n{rule}\n\n{_wrapped(told(lesson), width)}"
    for part in (*result.parts, *notes(lesson, result)):
        out += "\n\n"
        if isinstance(part, Table):
            out += _table(part, width, unicode)
        elif isinstance(part, Plot):
            out += "\n".join(chart(part, min(width, 78), unicode=unicode))
        else:
            out += _wrapped(part, width)
    heads = _("A question"), _("Its answer")
    said = zip(heads, (_(lesson.question), _(lesson.answer)), strict=True)
    asked = "\n\n".join(f"## {head}\n{text}" for head, text in said)
    ways = [f"{way}: evenflow explain --lesson {name}" for way, name in
            zip((_("before this"), _("next")), beside, strict=True) if name]  # fmt: skip
    more = "\n".join([_("See also"), *(f"  {row}" for row in (*see(lesson), *ways))])
    return f"{out}\n\n{_wrapped(asked, width)}\n\n{more}\n"


def plain(text: str, encoding: str) -> str:
    """The same text in characters that an encoding has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = "".join(_PLAIN.get(c, c) for c in text)
        return text.encode(encoding, "replace").decode(encoding)
    return text


def _wrapped(text: str, width: int) -> str:
    """Markdown for a terminal: headings stand out, paragraphs are filled, code is left alone."""
    out = []
    for block in text.strip().split("\n\n"):
        if block.startswith("## "):
            heading, _, block = block[3:].partition("\n")
            out.append(heading.upper() + ("\n" + _filled(block, width) if block else ""))
        elif block.startswith("- ") and language() != "en":
            out.append("\n".join(_item(line, width) for line in block.split("\n")))
        elif block.startswith(("    ", "- ")):
            out.append(block)
        else:
            out.append(_filled(block, width))
    return "\n\n".join(out)


def prose(block: str) -> str:
    """A paragraph without marks and line breaks."""
    return " ".join(block.replace("`", "").replace("**", "").split())


def _filled(block: str, width: int) -> str:
    text = prose(block)
    return wrap(text, width) if has_wide(text) else textwrap.fill(text, width)


def _item(line: str, width: int) -> str:
    """An item of a list whose lines are as long as its sentences: a translation's."""
    return "- " + textwrap.indent(_filled(line[2:], width - 2), "  ")[2:]


def _table(table: Table, width: int, unicode: bool) -> str:
    rows = [table.header, *(tuple(cell(c) for c in row) for row in table.rows)]
    widths = [max(cells_of(row[i]) for row in rows) for i in range(len(table.header))]
    right = [
        all(not isinstance(row[i], str) for row in table.rows) for i in range(len(table.header))
    ]
    lines = [
        "  ".join(
            " " * (w - cells_of(c)) + c if r else filled(c, w)
            for c, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, ("─" if unicode else "-") * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join([_filled(table.title, width), *lines])
