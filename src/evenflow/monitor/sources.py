"""Texts of the script's lines that a run speaks of, so that a report can show them elsewhere."""

from __future__ import annotations

from ..store import Writer
from ..tape import SiteRegistry, home, texts_of, where

#: Lines of source that are kept with a run.
_MOST = 200


class Sources:
    """Keeps each line that made or ran something, with those beside it, of the script's own folder.

    Attributes:
        keep: False keeps none.
    """

    def __init__(self, writer: Writer, registry: SiteRegistry) -> None:
        self.keep, self._writer, self._registry = True, writer, registry
        self._told: dict[str, dict[int, str]] = {}
        self._left = _MOST

    def write(self) -> None:
        """What the registry has met since it was asked last."""
        seen, self._registry.seen = self._registry.seen, []
        if not seen or not self.keep:
            return
        before, own = self._left, home(self._registry.folder)
        for at in dict.fromkeys(seen):
            texts = texts_of(at, own)
            if texts:
                file = where("called", at, self._registry.folder)[0].file
                self._take(self._told.setdefault(file, {}), texts)
        if self._left < before:
            self._writer.meta(source=self._told)

    def _take(self, told: dict[int, str], texts: dict[int, str]) -> None:
        new = {n: text for n, text in texts.items() if n not in told}
        if len(new) <= self._left:
            self._left -= len(new)
            told.update(new)
