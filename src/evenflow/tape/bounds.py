"""What one sample may take: sites, and seconds."""

from __future__ import annotations

import math
from time import process_time

from .registry import MAX_SITES

#: A sample that was cut never gets smaller than this.
_FEWEST = 16


class Bounds:
    """Of a recorder."""

    def __init__(self) -> None:
        self.limit = math.inf  # seconds after which a sample is cut, that is given up (`over`)
        #: Sites one sample reads, each micro-batch's counted; what comes after is left out.
        self.most = 4 * MAX_SITES
        self.lost = ""  # why the latest was given up, "untrained" or "time"; "" if none was
        self.begin()

    def begin(self) -> None:
        self.reads = self._before = 0  # sites the sample that runs has read so far
        self.was_cut = False  # it was given up, as it took too long
        self.in_vain = False  # it was given up, as what it read was not trained
        self.starts()

    def starts(self) -> None:
        """From now on the processor works for this sample; before, a script loaded its data."""
        self._since = process_time()

    @property
    def worked(self) -> float:
        """Seconds of the processor that the process has had since this sample began."""
        return process_time() - self._since

    def over(self, cost: float) -> bool:
        """Has the sample taken too long, by the wall (`cost` seconds) and by the processor? Where
        others keep the machine busy, we wait as long as they let us, and have done little."""
        return cost > self.limit and self.worked > self.limit

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
