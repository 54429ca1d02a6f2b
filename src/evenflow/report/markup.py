"""HTML from parts: everything a user named is escaped, nothing else is special."""

from __future__ import annotations

import html as _html
from collections.abc import Iterable, Sequence

from ..lang import _, whole
from ..showing import visible


def esc(value: object) -> str:
    """Text for HTML, inside or outside attributes; what cannot be seen is written out. Its lines
    begin no line of the page, which may be printed, too."""
    text = _html.escape(visible(str(value), lines=True), quote=True)
    return text.replace("\n", "&#10;")


def short(name: str, most: int) -> str:
    """A name of at most `most` characters: its end is kept, which tells layers apart."""
    return name if len(name) <= most else "…" + name[1 - most :]


def prose(text: str) -> str:
    """Escaped text whose numbers keep their unit on the same line."""
    return esc(text).replace(" %", "&nbsp;%")


def tag(name: str, *parts: str, **attributes: object) -> str:
    """`<name attributes>parts</name>`; parts are HTML already, attributes are escaped.

    An attribute that is None or False is left out; `_` becomes `-`, a last `_` goes ("class_").
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{esc("" if value is True else value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return f"<{name}{shown}>{''.join(parts)}</{name}>"


def table(head: Sequence[str], rows: Sequence[str], name: str | None = None) -> str:
    """A table under these headings; rows are HTML already."""
    cells = (tag("th", esc(text), scope="col") for text in head)
    return tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows), class_=name)


def row(first: str, *cells: str) -> str:
    """A table's row; its heading is HTML already."""
    return tag("tr", tag("th", first, scope="row"), *(tag("td", esc(text)) for text in cells))


def section(heading: str, id: str, *parts: str) -> str:
    """A card under a heading."""
    return tag("section", tag("h2", esc(heading), id=id), *parts, class_="card", aria_labelledby=id)


def scroll(table: str, label: str) -> str:
    """A table in a frame that scrolls where the page is narrow."""
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def pairs(rows: Iterable[tuple[str, str]], name: str) -> str:
    """Names and values."""
    body = (tag("div", tag("dt", esc(k)), tag("dd", esc(v))) for k, v in rows)
    return tag("dl", *body, class_=name)


def svg_line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    """A line of class `name`."""
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=name)


def svg_text(x: float, y: float, text: str, anchor: str, name: str | None = None) -> str:
    """Text that begins, has its middle or ends at x."""
    at = {"x": f"{x:.1f}", "y": f"{y:.1f}"}
    return tag("text", esc(text), **at, text_anchor=anchor, class_=name)


def and_more(count: int) -> str:
    """A paragraph on what is left out; "" where nothing is."""
    text = _("And {count} more.").format(count=whole(max(count, 0)))
    return tag("p", text, class_="quiet") if count > 0 else ""
