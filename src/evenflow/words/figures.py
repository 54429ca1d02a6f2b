"""Numbers as a person reads them: three significant digits, shares in per cent, decades."""

from __future__ import annotations

import math

from ..lang import _, whole


def number(x: float) -> str:
    """Three significant digits: 0.0123, 1,230, 1.2e-7; NaN and infinities by name.

    Numbers from 0.001 to below 100,000 are written out, others with a power of ten.
    """
    x = float(x)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return _("infinity") if x > 0 else _("-infinity")
    if x == 0:
        return "0"
    if abs(x) >= 1 and x == round(x) and abs(x) < 1e5:
        return whole(int(x))
    digits = f"{x:.2e}"
    mantissa, exponent = digits.split("e")
    power = int(exponent)
    if -3 <= power < 5:
        rounded = float(digits)
        if power >= 2:
            return whole(round(rounded))
        return f"{rounded:.{2 - power}f}".rstrip("0").rstrip(".")
    return f"{mantissa.rstrip('0').rstrip('.')}e{power}"


def share(x: float) -> str:
    """A share in per cent: 0.973 is "97 %"; never 0 % or 100 % unless it is exactly that."""
    x = float(x)
    if not math.isfinite(x):
        return number(x)
    if x < 0:
        return f"-{share(-x)}" if share(-x)[0].isdigit() else "0 %"
    percent = 100.0 * x
    if 0 < percent < 1 or 99 < percent < 100:
        shown = f"{percent:.1f}"
        if shown == "0.0":
            return _("below 0.1 %")
        return _("above 99.9 %") if shown == "100.0" else f"{shown} %"
    return f"{percent:.0f} %"


def factor(x: float) -> str:
    """Decades as the factor that they are, to two digits: -3 is "a factor of 1,000"."""
    return _("a factor of {size}").format(size=_times(x)) if math.isfinite(x) else number(x)


def change(x: float) -> str:
    """Decades up or down as people say it: -3 is "1,000 times smaller"."""
    if not math.isfinite(x):
        return number(x)
    text = _("{size} times larger") if x > 0 else _("{size} times smaller")
    return text.format(size=_times(x))


def _times(decades: float) -> str:
    size = abs(decades)
    return number(float(f"{10**size:.2g}")) if size < 300 else f"1e{size:.0f}"


def span(x: float) -> str:
    """Decades without a direction, as ledgers add them up: -12.06 is "12.1 decades"."""
    if not math.isfinite(x):
        return number(x)
    size = f"{abs(x):.1f}"
    text = _("{size} decade") if size == "1.0" else _("{size} decades")
    return _("0 decades") if size == "0.0" else text.format(size=size)
