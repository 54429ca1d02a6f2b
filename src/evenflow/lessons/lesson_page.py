"""A lesson as one HTML file, with its network to be stepped where it has one."""

from __future__ import annotations

from ..lang import _
from ..report import document, esc, header, tag
from ..views import net_html
from .base import Lesson, Plot, Result, Table
from .charts import chart
from .lesson_text import cell, notes, prose, see
from .lesson_words import blocks, told


def lesson_html(lesson: Lesson, result: Result, beside: tuple[str, str]) -> str:
    """Text, tables, pictures in characters, question and answer; nothing is fetched."""
    parts = [_markdown(told(lesson)), *map(_part, result.parts)]
    parts += [tag("p", esc(note), class_="quiet") for note in notes(lesson, result)]
    answer = tag("details", tag("summary", esc(_("Its answer"))), tag("p", esc(_(lesson.answer))))
    parts += [tag("h2", esc(_("A question"))), tag("p", esc(_(lesson.question))), answer]
    ways = [f"evenflow explain --lesson {name}" for name in beside if name]
    rows = (tag("li", tag("code", esc(row))) for row in (*see(lesson), *ways))
    parts += [tag("h2", esc(_("See also"))), tag("ul", *rows)]
    text = tag("section", *parts, class_="card lesson")
    if lesson.net is None:
        return document(
            f"{_(lesson.title)} · Evenflow", f"{header(_(lesson.title))}<main>{text}</main>"
        )
    return net_html(_(lesson.title), lesson.name, lesson.net().as_dict(), text)


def _part(part: str | Table | Plot) -> str:
    if isinstance(part, Table):
        head = tag("tr", *(tag("th", esc(h), scope="col") for h in part.header))
        rows = (tag("tr", *(tag("td", esc(cell(c))) for c in row)) for row in part.rows)
        body = tag("table", tag("thead", head), tag("tbody", *rows))
        return tag("p", tag("strong", esc(part.title))) + tag("div", body, class_="scroll")
    if isinstance(part, Plot):
        return tag("pre", esc("\n".join(chart(part, 78))).replace("&#10;", "\n"), class_="source")
    return tag("p", esc(part))


def _markdown(text: str) -> str:
    """Headings, formulas, lists and paragraphs."""
    out = []
    for block in blocks(text):
        if block.startswith("## "):
            out.append(tag("h2", esc(block[3:])))
        elif block.startswith("    "):
            out.append(tag("pre", esc(block).replace("&#10;", "\n"), class_="source"))
        elif block.startswith("- "):
            items = block[2:].split("\n- ")
            out.append(tag("ul", *(tag("li", esc(item)) for item in items)))
        else:
            out.append(tag("p", esc(prose(block))))
    return "".join(out)
