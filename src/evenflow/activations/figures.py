"""A card as a picture: PNG or SVG by matplotlib, and one self-contained HTML page around it."""

from __future__ import annotations

import contextlib
import html
import io
import itertools
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from ..lang import TAGS, _, language, speaking
from . import meanfield
from .atlas import Card
from .card_text import (
    OVERVIEW_NOTE,
    Section,
    heading,
    number,
    overview_header,
    overview_row,
    sections,
    settings,
)
from .registry import curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _AMBER, _RED, _GREEN, _GREY = "#2256c9", "#b87200", "#b42318", "#18794e", "#57606a"
_DEPTH = 50
#: Fonts with Chinese characters, as systems have them; matplotlib brings none.
_CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC",
    "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Heiti SC", "Arial Unicode MS",
)  # fmt: skip


class NoPictures(RuntimeError):
    """matplotlib is not installed; the message names the extra."""


def new_figure(width: float, height: float) -> Figure:
    """An empty matplotlib figure, in inches. `NoPictures` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise NoPictures(
            _("matplotlib is not installed; pictures need it: pip install 'evenflow[pictures]'")
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def saved_svg(figure: Figure, name: str) -> str:
    """The figure as one `<svg>` element, text as text; the same figure gives the same bytes under
    the same matplotlib."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    return "\n".join(line.rstrip() for line in text[text.index("<svg") :].splitlines()) + "\n"


@contextlib.contextmanager
def lettered() -> Iterator[None]:
    """A picture is drawn within: its words in the language spoken, in English where matplotlib
    finds no font that has its characters."""
    if language() != "zh":
        yield
        return
    import matplotlib
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    font = next((name for name in _CHINESE if name in there), None)
    if font is None:
        with speaking("en"):
            yield
    else:
        with matplotlib.rc_context({"font.family": ["DejaVu Sans", font]}):
            yield


def png(card: Card) -> bytes:
    """The card's curves as a PNG of about 1400 x 600 pixels. `NoPictures` without matplotlib,
    ValueError for a card without curves."""
    out = io.BytesIO()
    _figure(card).savefig(out, format="png", dpi=140, metadata={"Software": "Evenflow"})
    return out.getvalue()


def svg(card: Card) -> str:
    """The same as one `<svg>` element (see `saved_svg`)."""
    label = f'<svg role="img" aria-label="{html.escape(_caption(card))}" '
    return saved_svg(_figure(card), card.name).replace("<svg ", label, 1)


def page(card: Card) -> str:
    """One HTML file with the picture inside; nothing is fetched. A card without curves gets the
    page without the picture."""
    figure = ""
    if card.shape is not None:
        figure = f"<figure>{svg(card)}<figcaption>{escaped(_caption(card))}</figcaption></figure>"
    parts = [section(each) for each in sections(card)]
    title = heading(card)
    return document(title, f"<h1>{escaped(title)}</h1>\n{figure}\n" + "\n".join(parts))


def overview_page(cards: tuple[Card, ...]) -> str:
    """All activations as one HTML table, needing no matplotlib."""
    rows = tuple(overview_row(card) for card in cards)
    table = section(Section("", rows, overview_header(), _(OVERVIEW_NOTE)))
    return document(_("Activations"), f"<h1>{escaped(_('Activations'))}</h1>\n{table}")


def _figure(card: Card) -> Figure:
    figure = new_figure(10, 4.6)
    if card.shape is None:
        said = _("{name} has no curves to draw: {why}")
        raise ValueError(said.format(name=card.name, why=_(card.missing)))
    with lettered():
        left, right = figure.subplots(1, 2)
        _curves(left, card)
        _depth(right, card)
    return figure


def _curves(ax: Axes, card: Card) -> None:
    """f and f' with the regions where nothing is learnt."""
    assert card.shape is not None
    this = curve(card.name, **dict(card.parameters))
    x = np.array(card.x)
    ax.plot(x, card.f, color=_BLUE, lw=2, label="f(x)")
    # piece by piece, so that a jump at a kink is not drawn as a slope
    cuts = [float(x[0]), *sorted(k for k in card.kinks if x[0] < k < x[-1]), float(x[-1])]
    for i, (low, high) in enumerate(itertools.pairwise(cuts)):
        piece = np.linspace(np.nextafter(low, high), np.nextafter(high, low), len(x))
        label = "f'(x)" if i == 0 else None
        ax.plot(piece, this.df(piece), color=_AMBER, lw=2, label=label)
    ends = float(x[0]), float(x[-1])
    shape = card.shape
    dead = ((shape.dead_below, ends[0]), (shape.dead_above, ends[1]))
    saturated = ((shape.saturated_below, ends[0]), (shape.saturated_above, ends[1]))
    for regions, colour, hatch, label in (
        (saturated, _RED, None, _("saturated: |f'| < 1 % of its bound")),
        (dead, _GREY, "///", _("dead: f' = 0")),
    ):
        for edge, end in regions:
            if edge is not None and ends[0] < edge < ends[1]:
                ax.axvspan(
                    edge, end, facecolor=colour, edgecolor=colour, alpha=0.13, hatch=hatch,
                    lw=0, label=label,
                )  # fmt: skip
                label = None
    ax.axhline(0, color=_GREY, lw=0.6, zorder=0)
    ax.axvline(0, color=_GREY, lw=0.6, zorder=0)
    values = [*card.f, *card.df]
    ax.set_ylim(max(min(values), -4) - 0.25, min(max(values), 4) + 0.25)
    ax.set_xlim(ends)
    ax.set(title=_("{name}: f and its derivative").format(name=heading(card)), xlabel="x")
    tidy(ax)


def _depth(ax: Axes, card: Card) -> None:
    """log10 of the gradient that reaches the first layer, against depth."""
    this = curve(card.name, **dict(card.parameters))
    drawn: dict[tuple[float, float], list[str]] = {}
    for start in card.starts:
        drawn.setdefault((start.point.sw2, start.point.sb2), []).append(start.name)
    lowest = highest = 0.0
    for ((sw2, sb2), names), colour in zip(drawn.items(), (_GREEN, _BLUE, _RED), strict=False):
        chi = meanfield.propagate(this.f, this.df, _DEPTH, sw2, sb2, this.kinks)[1]
        with np.errstate(divide="ignore"):
            decades = np.concatenate([[0.0], np.cumsum(0.5 * np.log10(chi[:-1]))])
        label = f"{', '.join(map(_, names))} (σw² = {number(sw2)})"
        ax.plot(np.arange(1, _DEPTH + 1), decades, color=colour, lw=2, label=label)
        known = decades[np.isfinite(decades)]
        lowest, highest = min(lowest, known.min()), max(highest, known.max())
    ax.axhline(-3, color=_GREY, lw=0.9, ls="--", zorder=0)
    ax.annotate(_("a thousandfold"), (_DEPTH, -3), ha="right", va="bottom", fontsize=8, color=_GREY)
    ax.set_xlim(1, _DEPTH)
    ax.set_ylim(min(lowest, -3.5) * 1.05, max(highest, 0.5) * 1.1)
    title = _("Gradient that reaches the first layer")
    ax.set(title=title, xlabel=_("layers"), ylabel=_("decades"))
    tidy(ax)


def tidy(ax: Axes) -> None:
    """Few lines, and the legend below."""
    # under the plot: curves and regions fill all of it
    ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=2)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, lw=0.5)


def _caption(card: Card) -> str:
    text = settings(card)
    return _(
        "{name}. Left: f and f'. Right: log10 of the layer error at the first of so many plain "
        "layers against the last, by mean-field theory."
    ).format(name=f"{heading(card)}{f' ({text})' if text else ''}")


def section(told: Section) -> str:
    """A table under its title."""
    title = f"<h2>{escaped(told.title)}</h2>" if told.title else ""
    parts = [f"<section>{title}<div class='wide'><table>"]
    if told.header:
        parts.append("<thead>" + _row(told.header, "th") + "</thead>")
    kind = "figures" if told.header else "facts"
    parts.append(f"<tbody class='{kind}'>")
    parts += [_row(row, "td") for row in told.rows]
    parts.append("</tbody></table></div>")
    if told.note:
        parts.append(f"<p class='note'>{escaped(told.note)}</p>")
    return "".join(parts) + "</section>"


def _row(cells: tuple[str, ...], tag: str) -> str:
    head, *rest = cells
    return (
        f"<tr><th scope='row'>{escaped(head)}</th>"
        + "".join(f"<{tag}>{escaped(cell)}</{tag}>" for cell in rest)
        + "</tr>"
    )


def escaped(words: Any) -> str:
    """Text for HTML."""
    return html.escape(str(words), quote=True)


def document(title: str, body: str) -> str:
    """A page in the cards' style."""
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return (
        f"<!doctype html>\n<html lang='{TAGS[language()]}'><head><meta charset='utf-8'>"
        '<meta name="generator" content="Evenflow">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escaped(title)} · Evenflow</title><style>{style}</style></head>"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )
