"""Link single findings into chains: cause -> event -> end state."""

from __future__ import annotations

from collections.abc import Iterable

from ..schema import Finding
from .view import View


def link(found: Iterable[Finding], view: View) -> list[Finding]:
    """The same findings in reading order: worst first, then by code."""
    return sorted(found, key=lambda f: (-f.severity, f.code))
