"""A lesson as text for a terminal."""

from __future__ import annotations

import math
import textwrap

from .base import Cell, Lesson, Plot, Result, Table
from .charts import chart

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
    twice = (
        f"{len(result.same)} numbers of this lesson were found twice, read off autograd's tape and "
        "computed by `evenflow.miniature`; they agree within 1e-8 of their size (or 1e-12)."
    )
    seeds = f"Counts and medians are over {lesson.seeds} seeds."
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
    rule = ("═" if unicode else "=") * len(lesson.title)
    out = f"{lesson.title}\n{rule}\n\n{_wrapped(lesson.text, width)}"
    for part in (*result.parts, *notes(lesson, result)):
        out += "\n\n"
        if isinstance(part, Table):
            out += _table(part, width, unicode)
        elif isinstance(part, Plot):
            out += "\n".join(chart(part, min(width, 78), unicode=unicode))
        else:
            out += _wrapped(part, width)
    asked = f"## A question\n{lesson.question}\n\n## Its answer\n{lesson.answer}"
    ways = [f"{way}: evenflow explain --lesson {name}" for way, name in
            zip(("before this", "next"), beside, strict=True) if name]  # fmt: skip
    more = "\n".join(["See also", *(f"  {row}" for row in (*see(lesson), *ways))])
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
        elif block.startswith(("    ", "- ")):
            out.append(block)
        else:
            out.append(_filled(block, width))
    return "\n\n".join(out)


def _filled(block: str, width: int) -> str:
    return textwrap.fill(" ".join(block.replace("`", "").replace("**", "").split()), width)


def _table(table: Table, width: int, unicode: bool) -> str:
    rows = [table.header, *(tuple(cell(c) for c in row) for row in table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    right = [
        all(not isinstance(row[i], str) for row in table.rows) for i in range(len(table.header))
    ]
    lines = [
        "  ".join(
            f"{c:>{w}}" if r else f"{c:<{w}}" for c, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, ("─" if unicode else "-") * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join([_filled(table.title, width), *lines])
