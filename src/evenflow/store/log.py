"""Damage of a log (-wal), at which SQLite stops reading without a word."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .budget import ReadingBudget

Words = npt.NDArray[np.uint32]

_HEAD, _FRAME = 32, 24  # bytes of the log's head, and of a frame's before its page
_TURN = 256  # frames looked at together
_MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}  # and how its checksums read their words


def is_broken(path: Path, budget: ReadingBudget) -> bool:
    """Is there a damaged frame in the log, and a transaction that it hides?

    The end of a log torn by a kill is none: no transaction ends there. Looked at twice, as whoever
    trains may be writing. Not seen: damage within the last frame of a log begun anew (it looks like
    an older one, half written over), and a log cut off between transactions.
    """
    log = Path(f"{path.resolve()}-wal")
    if not log.exists() or not _look(log, budget):
        return False
    time.sleep(0.05)
    return _look(log, budget)


def _look(log: Path, budget: ReadingBudget) -> bool:
    with log.open("rb") as file:
        head = file.read(_HEAD)
        if len(head) < _HEAD:
            return False
        numbers = np.frombuffer(head, ">u4").astype(np.uint32)
        order = _MAGIC.get(int(numbers[0]), "<u4")
        first = (np.frombuffer(head[:24], order).astype(np.uint32) @ _weights(3)).astype(np.uint32)
        if not np.array_equal(first, numbers[6:]):
            return bool(file.read(1))  # SQLite reads nothing of it
        size, fresh, salts = int(numbers[2]), numbers[3] == 0, numbers[4:6]
        if size not in [2**n for n in range(9, 17)]:
            return True
        before, good = numbers[None, 6:], True  # all frames so far
        weights, power = _weights(1 + size // 8), _power(1 + size // 8)
        while frames := file.read(_TURN * (_FRAME + size)):
            budget.check_time()
            if not (count := len(frames) // (_FRAME + size)):
                break
            raw_NB = np.frombuffer(frames, np.uint8, count * (_FRAME + size)).reshape(count, -1)
            heads_N6 = raw_NB[:, :_FRAME].copy().view(">u4").astype(np.uint32)
            told_NB = np.delete(raw_NB, np.s_[8:_FRAME], axis=1)
            sums_N2 = heads_N6[:, 4:]
            chain_N2 = np.concatenate([before, sums_N2])[:-1]
            true_N2 = chain_N2 @ power + told_NB.view(order).astype(np.uint32) @ weights
            sound_N = (true_N2 == sums_N2).all(1)  # after the frame before it, whatever that is
            ours_N, ends_N = (heads_N6[:, 2:4] == salts).all(1), heads_N6[:, 1] != 0
            for sound, ours, ends in zip(sound_N, ours_N, ends_N, strict=True):
                if good and sound and not ours:
                    return True  # its place in the chain is true, so its salts are not
                good = good and bool(sound and ours)
                if not good and ours and ends and (sound or fresh):
                    return not _begun_anew(log, head)
            before = sums_N2[-1:]
    return False


def _begun_anew(log: Path, head: bytes) -> bool:
    """Since we read its head: what followed was another log's."""
    with log.open("rb") as file:
        return file.read(_HEAD) != head


@lru_cache(maxsize=16)
def _power(pairs: int) -> Words:
    """What a checksum (a row) is multiplied by as it passes so many pairs of words."""
    out, step = np.eye(2, dtype=np.uint32), np.array([[1, 1], [1, 2]], np.uint32)
    for _ in range(pairs):
        out = out @ step
    return out


@lru_cache(maxsize=16)
def _weights(pairs: int) -> Words:
    """What each word adds to the checksum (SQLite's file format, 4.2: s0 += x0 + s1; s1 += x1 + s0;
    linear, so all words at once) [2 * pairs, 2]."""
    out = np.array([[1, 1], [0, 1]], np.uint32)  # of the last pair's words
    step, turns = np.array([[1, 1], [1, 2]], np.uint32), [out]
    for _ in range(pairs - 1):
        turns.append(turns[-1] @ step)
    return np.concatenate(turns[::-1])
