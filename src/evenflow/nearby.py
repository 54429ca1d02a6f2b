"""What an error offers in place of a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from .lang import _

#: Names that `hint` lists.
FEW = 6


def did_you_mean(
    wanted: str,
    names: Iterable[str],
    most: int = 1,
    write: Callable[[str], str] = repr,
    *,
    also: Sequence[str] = (),
    sentence: bool = False,
) -> str:
    """The question "did you mean 'relu' or 'elu'?", in the user's language; "" where none is near.

    Args:
        most: so many names, the nearest first.
        write: how a name is shown.
        also: further ones, as they are shown.
        sentence: with a capital letter.

    >>> did_you_mean("rleu", ["relu", "tanh"])
    "did you mean 'relu'?"
    """
    close = difflib.get_close_matches(wanted, list(names), most)
    return _capital(_asked([*map(write, close), *also]), sentence)


def there_are(names: Iterable[str], *, sentence: bool = False) -> str:
    """All there are, where none is near: "there are relu, tanh." """
    return _capital(_("there are {names}.").format(names=", ".join(names)), sentence)


def hint(wanted: str, names: Iterable[str]) -> str:
    """The names near it or that hold it, else the first few there are."""
    known = list(dict.fromkeys(n for n in names if n))
    holding = [repr(n) for n in known if wanted and wanted in n][:3]
    if asked := did_you_mean(wanted, known, 3) or _asked(holding):
        return asked
    listed = ", ".join(map(repr, known[:FEW])) + (" ..." if len(known) > FEW else "")
    return _("there are {names}").format(names=listed)


def _asked(options: Sequence[str]) -> str:
    if not options:
        return ""
    return _("did you mean {close}?").format(close=_(" or ").join(dict.fromkeys(options)))


def _capital(text: str, sentence: bool) -> str:
    return text[:1].upper() + text[1:] if sentence else text
