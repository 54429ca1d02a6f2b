"""A card in words and tables: one list of sections that text, Markdown and HTML share."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..lang import N_, _
from ..lang import sentences as in_a_row
from ..wrapping import cells_of, filled, has_wide, wrap
from .atlas import WIDTH, Card, Start
from .shape import Shape


@dataclass(frozen=True)
class Section:
    """A table under a title. Without `header` its rows are (label, value)."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()
    note: str = ""


#: Columns of the table of all activations.
OVERVIEW = (
    N_("name"),
    N_("|f'| at most"),
    N_("saturated"),
    N_("dead"),
    "Ef",
    "Ef²",
    "Ef'²",
    N_("critical σw²"),
    "He",
    N_("torch default"),
)
OVERVIEW_NOTE = N_(
    "Moments for x ~ N(0, 1). Critical σw²: χ1 = 1 with zero biases. He, torch default: layers of "
    "a plain network after which the gradient has fallen a thousandfold (+: grown so)."
)


#: What a fixed point does to a q beside it.
_STABILITY = {
    "attracting": N_("attracting"), "repelling": N_("repelling"), "neutral": N_("neutral"),
}  # fmt: skip


def overview_header() -> tuple[str, ...]:
    """The columns' names, in the language spoken."""
    return tuple(map(_, OVERVIEW))


def heading(card: Card) -> str:
    """The card's title, in the language spoken."""
    plain, comma, parameters = card.title.partition(", ")
    return f"{_(plain)}{comma}{parameters}"


def number(value: float) -> str:
    """Four digits; "∞"; what rounds to 0 is 0."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"


def settings(card: Card) -> str:
    """The curve's parameters in a line."""
    told = {k: v if isinstance(v, str) else number(v) for k, v in card.parameters}
    return ", ".join(f"{k} = {v}" for k, v in told.items())


def overview_row(card: Card) -> tuple[str, ...]:
    """One activation in the table of all; what could not be computed is "–"."""
    if card.shape is None:
        return (card.name, *("–",) * (len(OVERVIEW) - 1))
    at_1 = next(m for m in card.moments if m.q == 1)
    starts = {start.name: start for start in card.starts}
    free = [number(c.sw2) for c in card.critical if c.sb2 == 0]
    return (
        card.name,
        number(card.shape.bound),
        _region(card.shape.saturated_below, card.shape.saturated_above),
        _region(card.shape.dead_below, card.shape.dead_above),
        number(at_1.mean),
        number(at_1.second),
        number(at_1.slope),
        ", ".join(free) or _("none"),
        _layers(starts["He"], short=True),
        _layers(starts["torch default"], short=True),
    )


def sections(card: Card) -> tuple[Section, ...]:
    """All that the card knows; a card without a curve has one section that says so."""
    about = [(_("formula"), f"f(x) = {_(card.formula)}"), (_("source"), card.source)]
    if card.parameters:
        about.append((_("parameters"), settings(card)))
    about.append((_("module"), f'evenflow.activations.get("{card.name}")'))
    if card.notes:
        about.append((_("note"), _(card.notes)))
    if card.shape is None:
        return (Section(_("About"), (*about, (_("not computed"), _(card.missing)))),)
    return (
        Section(_("About"), tuple(about)),
        Section(_("Shape"), tuple(_shape(card, card.shape))),
        Section(
            _("Moments"),
            tuple(tuple(map(number, (m.q, m.mean, m.second, m.slope))) for m in card.moments),
            ("q", "Ef", "Ef²", "Ef'²"),
            _("x ~ N(0, q). Ef'² is what one activation does to the mean squared layer error."),
        ),
        _critical(card),
        Section(
            _("Deep networks by initialisation"),
            tuple(_start(start) for start in card.starts),
            (_("start"), "σw²", "σb²", "q*", "c*", "χ1", "ξc", "ξ∇", _("gradient 1000x")),
            _(
                "Plain layers of equal width (Xavier and LeCun then coincide; torch's default "
                "biases are those of width {width}), without the fluctuations of finite width. q*, "
                "c*, χ1: where depth leads. ξc, ξ∇: layers in which c - c*, and the mean squared "
                "layer error, fall by e (negative: grow). Last column: followed from inputs with "
                "second moment 1."
            ).format(width=WIDTH),
        ),
    )


def text(card: Card) -> str:
    """The card for a terminal or a log.

    >>> from evenflow.activations import card, text
    >>> print(text(card("relu")).splitlines()[4])
      formula  f(x) = max(0, x)
    """
    title = heading(card)
    parts = [title, "=" * cells_of(title)]
    for section in sections(card):
        parts += ["", section.title, *columns(section.rows, section.header)]
        if section.note:
            parts += ["", *wrapped(section.note, 2)]
    return "\n".join(parts)


def table(cards: Iterable[Card]) -> str:
    """All activations, a line each.

    >>> from evenflow.activations import card, table
    >>> [line.split()[:2] for line in table([card("sigmoid"), card("tanh")]).splitlines()[1:3]]
    [['sigmoid', '0.25'], ['tanh', '1']]
    """
    lines = columns(tuple(overview_row(card) for card in cards), overview_header())
    return "\n".join([*lines, "", *wrapped(_(OVERVIEW_NOTE), 2)])


def as_data(card: Card) -> dict[str, Any]:
    """The card for JSON: every field, and the depth scales; infinities as "inf" and "-inf".

    >>> from evenflow.activations import as_data, card
    >>> as_data(card("relu"))["shape"]["high"]
    'inf'
    """
    data = dataclasses.asdict(card)
    data["parameters"] = dict(card.parameters)
    for told, start in zip(data["starts"], card.starts, strict=True):
        told["point"] |= {"xi_c": start.point.xi_c, "xi_grad": start.point.xi_grad}
    plain: dict[str, Any] = _finite(data)
    return plain


def _finite(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _shape(card: Card, shape: Shape) -> list[tuple[str, str]]:
    if math.isinf(shape.bound_at):
        where = _("approached as x → {x}")
    elif shape.bound_at in card.kinks:
        where = _("reached beside the kink x = {x}")
    else:
        where = _("reached at x = {x}")
    if card.zero_centred:
        centred = _("yes, at every q: f is odd") if shape.odd else _("yes, at q = 1")
    else:
        at_1 = next(m for m in card.moments if m.q == 1)
        share = at_1.mean**2 / at_1.second
        said = _("no: mean {mean} at q = 1, {share} of Ef²")
        centred = said.format(mean=number(at_1.mean), share=f"{share:.0%}")
    most, reached = number(shape.bound), where.format(x=number(shape.bound_at))
    low, high = number(shape.low), number(shape.high)
    return [
        ("|f'|", _("at most {bound}, {where}").format(bound=most, where=reached)),
        ("f", _("from {low} to {high}").format(low=low, high=high)),
        (_("saturated"), _region(shape.saturated_below, shape.saturated_above)),
        (_("dead (f' = 0)"), _region(shape.dead_below, shape.dead_above)),
        (_("zero-centred"), centred),
        (_("monotone"), _("yes") if shape.monotone else _("no")),
    ]


def _critical(card: Card) -> Section:
    title = _("Critical initialisation (χ1 = 1)")
    if not card.critical:
        why = _("with zero biases, and none whose fixed point is q = 1")
        return Section(title, ((_("none"), why),))
    # f is x times a constant, by sign: q is a fixed point wherever it starts
    gains = np.array([m.second / m.q for m in card.moments])
    any_q = bool(np.all(np.abs(gains - gains[0]) < 1e-9 * gains[0]))
    rows = tuple(
        (
            number(c.sw2),
            number(c.sb2),
            "→ 0" if c.q == 0 else _("any") if any_q else number(c.q),
            number(c.q_slope),
            _(_STABILITY[c.stability]),
        )
        for c in card.critical
    )
    notes = [_("σb² = 0, and the fixed point q* = 1 where there is one.")]
    if any(c.stability == "repelling" for c in card.critical):
        notes.append(_("Repelling: q* is left at the least disturbance, and χ1 = 1 with it."))
    return Section(title, rows, ("σw²", "σb²", "q*", "dq'/dq", _("q* is")), in_a_row(notes))


def _start(start: Start) -> tuple[str, ...]:
    p = start.point
    return (
        _(start.name),
        *map(number, (p.sw2, p.sb2, p.q, p.c, p.chi1, p.xi_c, p.xi_grad)),
        _layers(start),
    )


def _layers(start: Start, short: bool = False) -> str:
    layers = start.three_decades
    if math.isinf(layers):
        return "> 1000" if short else _("not in 1000 layers")
    if short:
        return f"{layers:.0f}" if layers > 0 else f"+{-layers:.0f}"
    said = _("smaller after {count}") if layers > 0 else _("larger after {count}")
    return said.format(count=f"{abs(layers):.0f}")


def _region(below: float | None, above: float | None) -> str:
    parts = [f"x < {number(below)}"] if below is not None else []
    if above is not None:
        parts.append(f"x > {number(above)}")
    if below is not None and above is not None and abs(below + above) < 1e-9 * above:
        return f"|x| > {number(above)}"
    return _(" or ").join(parts) or _("none")


def columns(rows: tuple[tuple[str, ...], ...], header: tuple[str, ...]) -> list[str]:
    """Aligned lines; a table's figures to the right, prose wrapped at 100 characters."""
    if not header:
        widest = max(cells_of(row[0]) for row in rows)
        lines = []
        for label, value in rows:
            first, *rest = wrapped(value, widest + 4)
            lines += [f"  {filled(label, widest)}  {first.strip()}", *rest]
        return lines
    widths = [max(cells_of(line[i]) for line in (header, *rows)) for i in range(len(header))]
    return [
        "  " + "  ".join([filled(line[0], widths[0]), *map(_right, line[1:], widths[1:])])
        for line in (header, *rows)
    ]


def wrapped(words: str, indent: int) -> list[str]:
    margin = " " * indent
    if has_wide(words):  # Chinese has no spaces to break at
        return [margin + line for line in wrap(words, 100 - indent).split("\n")]
    return textwrap.wrap(words, 100, initial_indent=margin, subsequent_indent=margin)


def _right(text: str, cells: int) -> str:
    return " " * (cells - cells_of(text)) + text
