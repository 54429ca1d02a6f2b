"""What a run is called, and what is known of it when it begins."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..schema import allowed
from ..store import FOLDER, SUFFIX, stem_of
from .processes import facts, with_rank


class Proposed(str):
    """A run's path that is numbered where it is taken, as a default one is."""


def default_path() -> Proposed:
    """evenflow-runs/<script>-<time>.evenflow, with the rank where several processes train
    together; the writer numbers it if it is taken."""
    script = Path(sys.argv[0] or "python").stem or "python"
    name = stem_of(script, "python")
    return Proposed(with_rank(Path(FOLDER) / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}{SUFFIX}"))


def first_meta(every: str | int, budget: float, heal: bool | str | Sequence[str]) -> dict[str, Any]:
    get: Callable[[int], str] = torch.cuda.get_device_name
    return {
        "script": sys.argv[0] if sys.argv else "",
        "argv": list(sys.argv[1:]),
        "folder": os.getcwd(),
        "started": time.time(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": get(0) if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "every": every,
        "budget": budget,
        "heal": ",".join(allowed(heal)),
        "optimizers": [],
        "ended": "",
        **facts(),
    }
