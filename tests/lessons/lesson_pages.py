"""Write the lessons, pictures included: `python tests/lessons/lesson_pages.py docs/lessons`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from evenflow.activations import new_figure, saved_svg
from evenflow.lessons import REGISTRY, Lesson, Result, beside
from evenflow.lessons.base import Plot, Table
from evenflow.lessons.lesson_text import cell, notes

DOCS = Path(__file__).parents[2] / "docs"
#: Told apart by eyes of every kind, also in grey (Okabe & Ito 2008), with a dash of its own each.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DASHES = ("-", "--", "-.", ":", "-", "--")
_MARKERS = ("o", "^", "s", "D", "v", "P")


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


def _ways(lesson: Lesson) -> str:
    """Links to what belongs to it, and to the lessons beside it."""
    rules = {p.name.partition("-")[0]: p.name for p in (DOCS / "rules").glob("EF*.md")}
    links = [
        f"[{x.partition(' ')[2]}](../activations/{x.partition(' ')[2]}.md)" if " " in x
        else f"[{x}](../rules/{rules[x]})" for x in lesson.see
    ]  # fmt: skip
    before, after = (f"[{REGISTRY[n].title}]({n}.md)" if n else "" for n in beside(lesson.name))
    ways = [f"before: {before}"] * bool(before) + [f"next: {after}"] * bool(after)
    return "\n\n".join(("See also: " + ", ".join(links), " · ".join(ways)))


def page(lesson: Lesson, result: Result) -> str:
    """The lesson as Markdown; its plots are pictures (`picture_name`)."""
    blocks = [
        f"# {lesson.title}",
        f"*Written by its own run; the same in a terminal: `evenflow explain --lesson "
        f"{lesson.name}`.*",
        lesson.text,
    ]
    pictures = 0
    for part in result.parts:
        if isinstance(part, Table):
            rows = [part.header, *(tuple(cell(c) for c in row) for row in part.rows)]
            lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
            lines.insert(1, "|" + "---|" * len(part.header))
            blocks.append(f"**{part.title}**")
            blocks.append("\n".join(lines))
        elif isinstance(part, Plot):
            pictures += 1
            blocks.append(f"![{part.title}]({picture_name(lesson, pictures)})")
        else:
            blocks.append(part)
    blocks += notes(lesson, result)
    blocks.append(f"## A question\n\n{lesson.question}")
    blocks.append(f"<details><summary>Its answer</summary>\n\n{lesson.answer}\n\n</details>")
    blocks.append(_ways(lesson))
    return "\n\n".join(blocks) + "\n"


def picture_name(lesson: Lesson, number: int) -> str:
    """Where the lesson's plot number 1, 2, ... lies, beside its page."""
    return f"pictures/{lesson.name}-{number}.svg"


def svg(plot: Plot) -> str:
    """The plot as one SVG (see `evenflow.activations.saved_svg`). `NoPictures` without
    matplotlib."""
    figure = new_figure(7, 3.8)
    figure.set_facecolor("white")
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    ax = figure.subplots()
    for i, series in enumerate(plot.series):
        look: dict[str, Any] = {"color": _COLOURS[i % len(_COLOURS)], "label": series.name}
        if series.dots:
            ax.plot(series.x, series.y, _MARKERS[i % len(_MARKERS)], ms=6, zorder=3, **look)
        else:
            ax.plot(series.x, series.y, _DASHES[i % len(_DASHES)], lw=2, **look)
    if plot.log_y:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        if high < 100 * low:  # too few powers of ten to read by: 1, 2, 5, 10
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            ax.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    if all(float(v).is_integer() for series in plot.series for v in series.x):
        ax.xaxis.set_major_locator(
            MaxNLocator(steps=[1, 2, 5, 10], integer=True)
        )  # steps, layers: no layer 2.5
    ax.set(title=plot.title, xlabel=plot.x_name, ylabel=plot.y_name)
    ax.grid(True, color="#dddddd", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if len(plot.series) > 3:  # inside, so many would hide a curve
        figure.legend(frameon=False, loc="outside right center")
    elif len(plot.series) > 1:
        ax.legend(framealpha=0.85, edgecolor="none")
    return saved_svg(figure, plot.title)


def pictures(lesson: Lesson, result: Result) -> dict[str, Plot]:
    """File name -> plot, as the lesson's page names them."""
    plots = [part for part in result.parts if isinstance(part, Plot)]
    return {picture_name(lesson, i): plot for i, plot in enumerate(plots, 1)}


def write(folder: Path) -> None:
    """Write every page, the list and the pictures; those of lessons that are gone are removed."""
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
        raise SystemExit("usage: python tests/lessons/lesson_pages.py FOLDER")
    write(Path(sys.argv[1]))
