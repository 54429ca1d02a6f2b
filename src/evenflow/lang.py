"""The language Evenflow speaks: English, or what a gettext catalogue says in its place.

The language is asked for when a message is rendered, never at import. In the order of who says
so: `set_language` (what `--lang` calls), EVENFLOW_LANG, the locale (LC_ALL, LC_MESSAGES, LANG:
the first that is set), else English. Mark texts thus:

    _("The gradient vanishes{at}").format(at=...)     looked up now
    NAMES = {"a": N_("a name")}; _(NAMES[key])        marked at import, looked up when shown
    ngettext("{count} error", "{count} errors", n)    by number

`make words` gathers what is marked into the catalogues under `locale/`; codes, names of rules,
ops and parameters, and JSON keys are never translated.
"""

from __future__ import annotations

import contextlib
import gettext as _gettext
import os
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

#: Code -> the language's name in that language.
LANGUAGES = {"en": "English", "ru": "русский", "zh": "中文"}
#: What HTML calls them; Chinese characters are drawn in their simplified forms.
TAGS = {"en": "en", "ru": "ru", "zh": "zh-Hans"}
FOLDER = Path(__file__).with_name("locale")
_DOMAIN = "evenflow"
#: Between groups of three digits: in Russian a comma would be the decimal mark.
_GROUPS = {"ru": "\u00a0"}

_chosen: str | None = None
_here: ContextVar[str] = ContextVar("language", default="")  # of one answer among several at once
_complained = False


def set_language(code: str | None) -> None:
    """Speak this language from now on; None leaves it to EVENFLOW_LANG and the locale again.

    Raises:
        ValueError: there is no such language; it names those there are.
    """
    global _chosen
    if code is not None and _known(code) is None:
        raise ValueError(unknown(code))
    _chosen = None if code is None else _known(code)


@contextlib.contextmanager
def speaking(code: str) -> Iterator[None]:
    """Within, this thread or task speaks this language; others speak on as they did.

    A language that there is not changes nothing.
    """
    token = _here.set(_known(code) or "")
    try:
        yield
    finally:
        _here.reset(token)


def language() -> str:
    """The code of the language spoken now: "en", "ru" or "zh".

    An unknown EVENFLOW_LANG is told once on stderr and English is spoken; an unknown locale is
    English without a word.
    """
    if _here.get():
        return _here.get()
    if _chosen is not None:
        return _chosen
    asked = os.environ.get("EVENFLOW_LANG", "").strip()
    if asked:
        return _known(asked) or _complain(asked)
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return _known(next(filter(None, names), "")) or "en"


def _(text: str) -> str:
    """`text` in the language spoken now; itself where there is no translation."""
    return _catalogue(language()).gettext(text) if text else ""


def ngettext(one: str, many: str, n: int) -> str:
    """The form that goes with `n` things; English has two, Russian three, Chinese one."""
    return _catalogue(language()).ngettext(one, many, n)


def N_(text: str) -> str:
    """Marks a text that is translated later, where it is shown."""
    return text


def whole(n: int) -> str:
    """A whole number with its digits in groups of three: 1,230."""
    return f"{n:,}".replace(",", _GROUPS.get(language(), ","))


def sentences(texts: Iterable[str]) -> str:
    """Whole sentences in a row; Chinese puts no space after a full stop."""
    return ("" if language() == "zh" else " ").join(texts)


def unknown(code: str) -> str:
    """The sentence for a language that there is not."""
    return _("{code!r} is not a language Evenflow speaks; choose one of {codes}.").format(
        code=code, codes=", ".join(LANGUAGES)
    )


@cache
def _catalogue(code: str) -> _gettext.NullTranslations:
    if code == "en":
        return _gettext.NullTranslations()
    try:
        return _gettext.translation(_DOMAIN, FOLDER, [code], fallback=True)
    except (OSError, ValueError):  # damaged: English is better than no message
        return _gettext.NullTranslations()


def _known(code: str) -> str | None:
    """ "ru_RU.UTF-8" and "RU" are "ru"; None for what there is no catalogue of."""
    base = code.replace("-", "_").split(".")[0].split("@")[0].split("_")[0].strip().lower()
    return base if base in LANGUAGES else None


def _complain(asked: str) -> str:
    global _complained
    if not _complained:
        _complained = True
        said = f"EVENFLOW_LANG={asked!r} is not a language Evenflow speaks"
        try:
            print(f"evenflow: {said}; choose one of {', '.join(LANGUAGES)}.", file=sys.stderr)
        except Exception:  # stderr closed by the script: not worth its training
            pass
    return "en"
