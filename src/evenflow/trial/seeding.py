"""Seeds: the script's own, shifted alike in Python's random, NumPy and torch.

Shift 0 leaves a script that seeds itself as it is. A script that does not seed is seeded, so that
treated and untreated runs draw the same numbers. Generators that a script makes for itself with a
seed of their own keep it: they stay the same in all runs, and are told of.
"""

from __future__ import annotations

import functools
import operator
import random
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

#: What a script is seeded with that does not seed itself.
START = 0
#: Seeds of runs with neighbouring shifts are to differ from each other and from seed + 1.
STRIDE = 1_000_003


class Seeds:
    """Shifts every seeding of the process by `shift` strides; notes what was seeded by whom."""

    def __init__(self, shift: int) -> None:
        self.shift = shift
        self.seeded: set[str] = set()
        self._within = False

    def python(self) -> None:
        """Python's `random`."""
        seed = random.seed
        random.seed = self._shifted(seed, "random")
        seed(self.number(START))

    def numpy(self, numpy: ModuleType) -> None:
        """NumPy's legacy generator, and `default_rng` where it is given no seed."""
        module = numpy.random
        legacy = module.seed
        module.seed = self._shifted(legacy, "numpy")
        legacy(self.number(START))
        make, made = module.default_rng, [0]

        @functools.wraps(make)
        def default_rng(seed: Any = None) -> Any:
            if seed is None:
                made[0] += 1
                seed = [self.number(START), made[0]]
            elif "-packages" not in sys._getframe(1).f_code.co_filename:
                self.seeded.add("default_rng")
            return make(seed)

        module.default_rng = default_rng

    def torch(self, torch: Any) -> None:
        """torch's default generators, of the CPU and (through it) of every device."""
        set_seed = torch.manual_seed
        torch.random.manual_seed = torch.manual_seed = self._shifted(set_seed, "torch")

        def anew() -> int:
            # "A non-deterministic seed": ours, so that paired runs draw the same.
            set_seed(self.number(START))
            return int(self.number(START))

        torch.random.seed = torch.seed = anew
        for name in ("manual_seed", "manual_seed_all"):
            setattr(torch.cuda, name, self._shifted(getattr(torch.cuda, name), "cuda"))
        set_seed(self.number(START))

    def number(self, seed: Any) -> Any:
        """A seed, shifted; of the same kind as it was given."""
        if self.shift == 0:
            return seed
        try:
            return (operator.index(seed) + self.shift * STRIDE) % 2**32
        except TypeError:  # no whole number
            pass
        if isinstance(seed, float):
            return seed + self.shift * STRIDE
        if isinstance(seed, (str, bytes, bytearray)):
            mark = f"/{self.shift}"
            return seed + mark if isinstance(seed, str) else bytes(seed) + mark.encode()
        return [*seed, self.shift] if hasattr(seed, "__iter__") else seed

    def _shifted(self, call: Callable[..., Any], what: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def shifted(*args: Any, **kwargs: Any) -> Any:
            if self._within:  # torch.manual_seed seeds the devices: once is enough
                return call(*args, **kwargs)
            seed = args[0] if args else kwargs.pop("seed", kwargs.pop("a", None))
            if seed is not None:
                self.seeded.add(what)
            self._within = True
            try:
                # None asks for an unforeseeable seed: paired runs must draw the same.
                return call(self.number(START if seed is None else seed), *args[1:], **kwargs)
            finally:
                self._within = False

        return shifted

    def told(self) -> tuple[str, ...]:
        """What the report must say of seeds."""
        if "default_rng" in self.seeded:
            return (
                "the script seeds generators of its own (numpy.random.default_rng): they draw the "
                "same in every run, so seeds do not vary what depends on them",
            )
        return ()
