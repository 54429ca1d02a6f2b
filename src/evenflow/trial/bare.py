"""A run of a script with nothing of ours in it but the seeds: what a patched script is proven by.

`python -m evenflow.trial.bare JOB.json`, as `child` is run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .child import attempt_of


class Nobody:
    """A guest that neither watches nor treats."""

    def begin(self) -> None:
        """Nothing is hung."""

    def ended(self, error: BaseException | None) -> None:
        """Nothing was noted."""


def main(path: Path) -> int:
    return attempt_of(path).run(Nobody())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
