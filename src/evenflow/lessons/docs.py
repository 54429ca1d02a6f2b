"""Write the lessons' pages: `python -m evenflow.lessons.docs docs/lessons` (pictures included)."""

from __future__ import annotations

import sys
from pathlib import Path

from . import REGISTRY
from .base import Lesson, Plot, Result
from .lesson_text import page, picture_name


def index() -> str:
    """The list of all lessons as Markdown."""
    lines = [
        "# Lessons",
        "",
        "Back-propagation to be seen. Every number on these pages is computed anew by the lesson "
        "itself: read off autograd's tape, computed a second time by `evenflow.miniature` "
        "([a walk through it](../miniature.md)), and held in the tests against a derivation by "
        "hand and finite differences. `evenflow explain --lesson NAME` prints the same in a "
        "terminal.",
        "",
    ]
    lines += [f"{i}. [{x.title}]({x.name}.md)" for i, x in enumerate(REGISTRY.values(), 1)]
    return "\n".join(lines) + "\n"


def pictures(lesson: Lesson, result: Result) -> dict[str, Plot]:
    """File name -> plot, as the lesson's page names them."""
    plots = [part for part in result.parts if isinstance(part, Plot)]
    return {picture_name(lesson, i): plot for i, plot in enumerate(plots, 1)}


def write(folder: Path) -> None:
    """Write every page, the list and the pictures; those of lessons that are gone are removed."""
    from .plots import svg

    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    texts = {folder / "README.md": index()}
    for lesson in REGISTRY.values():
        result = lesson.run()
        texts[folder / f"{lesson.name}.md"] = page(lesson, result)
        texts |= {folder / name: svg(plot) for name, plot in pictures(lesson, result).items()}
    for old in (*folder.glob("*.md"), *folder.glob("pictures/*.svg")):
        if old not in texts:
            old.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m evenflow.lessons.docs FOLDER")
    write(Path(sys.argv[1]))
