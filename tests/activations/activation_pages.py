"""Write the atlas, pictures included:
`python tests/activations/activation_pages.py docs/activations`."""

from __future__ import annotations

import sys
from pathlib import Path

from evenflow.activations import Card, card, names
from evenflow.activations.card_text import (
    OVERVIEW,
    OVERVIEW_NOTE,
    Section,
    overview_row,
    sections,
)
from evenflow.activations.figures import svg


def page(shown: Card) -> str:
    """A card as Markdown."""
    parts = [f"# {shown.title}", "", "*Computed by `evenflow.activations.card`: change it there.*"]
    if shown.shape is not None:
        parts += ["", f"![f and f', and gradients against depth](pictures/{shown.name}.svg)"]
    for section in sections(shown):
        parts += ["", f"## {section.title}", "", *_table(section)]
    return "\n".join(parts) + "\n"


def index() -> str:
    """The table of all activations as Markdown, names linked to their pages."""
    rows = tuple(
        (f"[{first}]({first}.md)", *rest) for first, *rest in map(overview_row, map(card, names()))
    )
    return "\n".join(
        [
            "# Activations",
            "",
            "A card each, computed from f and f'; `evenflow activations NAME` prints the same.",
            "",
            *_table(Section("", rows, OVERVIEW, OVERVIEW_NOTE)),
            "",
        ]
    )


def wanted() -> dict[str, str]:
    """File name -> text of every page."""
    return {f"{name}.md": page(card(name)) for name in names()} | {"README.md": index()}


def write(folder: Path) -> None:
    """Write every page, the table and the pictures; those of activations gone are removed."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    texts = {folder / name: text for name, text in wanted().items()}
    for shown in map(card, names()):
        if shown.shape is not None:
            texts[pictures / f"{shown.name}.svg"] = svg(shown)
    for old in (*folder.glob("*.md"), *pictures.glob("*.svg")):
        if old not in texts:
            old.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


def _table(section: Section) -> list[str]:
    """A Markdown table; "|" in a cell is escaped."""
    header = section.header or ("", "")
    right = "---:" if section.header else "---"
    lines = [_line(header), "|" + "|".join(["---", *[right] * (len(header) - 1)]) + "|"]
    lines += [_line(row) for row in section.rows]
    return [*lines, "", section.note] if section.note else lines


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python tests/activations/activation_pages.py FOLDER")
    write(Path(sys.argv[1]))
