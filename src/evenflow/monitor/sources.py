"""Texts of the script's lines that a run speaks of, so that a report can show them elsewhere."""

from __future__ import annotations

from ..store import Writer
from ..tape import SiteRegistry, home, keep_texts


class Sources:
    """Keeps each line that made or ran something, with those beside it, of the script's own folder.

    Attributes:
        keep: False keeps none.
    """

    def __init__(self, writer: Writer, registry: SiteRegistry) -> None:
        self.keep, self._writer, self._registry = True, writer, registry
        self._told: dict[str, dict[str, str]] = {}

    def write(self) -> None:
        """What the registry has met since it was asked last."""
        seen, self._registry.seen = self._registry.seen, []
        folder = self._registry.folder
        if seen and self.keep and keep_texts(seen, home(folder), folder, self._told):
            self._writer.meta(source=self._told)
