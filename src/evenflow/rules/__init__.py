"""Rules: pure functions from a run to findings. `judge` is the one way in."""

from __future__ import annotations

from .base import Rule as Rule
from .judge import judge as judge
from .view import View as View

#: Every code, in order. A code is never reused; one that is retired moves to `RETIRED`.
REGISTRY: dict[str, type[Rule]] = {}
RETIRED: dict[str, str] = {}
