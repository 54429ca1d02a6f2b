"""How far a training is, in a file: plain lines, now and then, with the time left."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

from evenflow.cli.progressing import BETWEEN, FIRST, Progress


def test_a_line_now_and_then_with_the_time_left() -> None:
    now = [100.0]
    with redirect_stderr(io.StringIO()) as err, Progress(clock=lambda: now[0]) as progress:
        told = progress.job("training")
        for epoch in range(1, 201):
            now[0] += 1
            told(epoch, 200)
    lines = err.getvalue().splitlines()
    assert lines[0] == "training: epoch 5 of 200, at most 3 min left"
    assert len(lines) == 1 + int((200 - FIRST) // BETWEEN)
    assert lines[-1] == "training: epoch 185 of 200, at most 15 s left"
    assert all(line.isprintable() for line in lines)


def test_what_is_over_soon_says_nothing() -> None:
    now = [0.0]
    lines: list[str] = []
    with Progress(lines.append, lambda: now[0]) as progress:
        for name in ("fold 1 of 2", "fold 2 of 2"):
            told = progress.job(name)
            for epoch in range(1, 11):
                now[0] += 0.1
                told(epoch, 10)
    assert lines == []


def test_of_the_first_epoch_nobody_knows_what_it_takes() -> None:
    now = [0.0]
    lines: list[str] = []
    with Progress(lines.append, lambda: now[0]) as progress:
        told = progress.job("training")
        now[0] += 900
        told(1, 10)
        now[0] += 60
        told(2, 10)
    assert lines == ["training: epoch 1 of 10", "training: epoch 2 of 10, at most 8 min left"]
