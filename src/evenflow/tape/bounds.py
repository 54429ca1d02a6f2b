"""What one sample may take: sites, and seconds."""

from __future__ import annotations

import math

from .registry import MAX_SITES

#: A sample that was cut never gets smaller than this.
_FEWEST = 16


class Bounds:
    """Of a recorder.

    Attributes:
        limit: seconds after which a sample is cut, that is given up.
        most: sites one sample reads, each micro-batch's counted; what comes after is left out.
        reads: sites the sample that runs has read so far.
        was_cut: it was given up, as it took too long.
        lost: why the latest was given up, "untrained" or "time"; "" if none was.
        in_vain: it was given up, as what it read was not trained.
    """

    def __init__(self) -> None:
        self.limit, self.most, self.lost = math.inf, 4 * MAX_SITES, ""
        self.begin()

    def begin(self) -> None:
        self.reads, self.was_cut, self.in_vain, self._before = 0, False, False, 0

    @property
    def full(self) -> bool:
        """Has this sample read as many sites as it may?"""
        return self.reads >= self.most

    def nothing_new(self) -> bool:
        """Is a backward to run for a graph of which nothing was read?"""
        new, self._before = self.reads > self._before, self.reads
        return self.full and not new

    def gave_up(self, less: bool) -> str:
        """What is to be said of a sample that was cut; `less`: samples are to be smaller now."""
        self.was_cut = False
        if not less:
            return "a sample was given up: it took more time than was left for sampling"
        self.most = max(_FEWEST, self.reads // 4)
        return (
            f"a sample was given up: a step has more sites than can be read in {self.limit:.1f} s; "
            f"from now on only the first {self.most} of a step are read, and nothing after them"
        )
