"""What an error message offers when a name is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ..lang import _


def hint(wanted: str, names: Iterable[str]) -> str:
    """ "did you mean 'layers.3'?", or the first few there are."""
    known = list(dict.fromkeys(n for n in names if n))
    close = difflib.get_close_matches(wanted, known, 3)
    close = close or [n for n in known if wanted and wanted in n][:3]
    if close:
        return _("did you mean {close}?").format(close=_(" or ").join(map(repr, close)))
    listed = ", ".join(map(repr, known[:6])) + (" ..." if len(known) > 6 else "")
    return _("there are {names}").format(names=listed)
