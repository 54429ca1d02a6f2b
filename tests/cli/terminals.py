"""A terminal of our own: what a command writes to it, and the screen that comes of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

from patience import HANG

#: A frame of ours begins by keeping the cursor and ends by putting it back; room is made before.
FRAME = re.compile(
    rb"(?:(?:\x1bD)+\x1b\[\d+A)?\x1b7\x1b\[\?6l.*?\x1b8(?:\x1bD\x1b\[2K\x1b\[J\x1b\[1A)?", re.S
)


class Session:
    """One command, in front of a terminal of its own.

    `seen` is called again and again, with all that was written so far in `said`.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        seen: Callable[[Session], None] = lambda session: None,
        rows: int = 24,
        columns: int = 80,
        **variables: str,
    ) -> None:
        self.master, slave = pty.openpty()
        self.rows, self.columns = rows, columns
        self.resize(rows, columns)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment = {k: v for k, v in environment.items() if k not in ("NO_COLOR", "COLUMNS")}

        def own() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, cwd=folder, stdin=slave, stdout=slave, stderr=slave,
            env=environment | variables, preexec_fn=own,
        )  # fmt: skip
        os.close(slave)
        self.said = b""
        until = time.monotonic() + HANG
        while time.monotonic() < until:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    more = os.read(self.master, 1 << 16)
                except OSError:  # Linux says so where nobody has the terminal open any more
                    more = b""
                if not more:
                    break
                self.said += more
            seen(self)
        os.close(self.master)
        self.code = self.process.wait(HANG)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    @property
    def frames(self) -> list[bytes]:
        return FRAME.findall(self.said)

    @property
    def own(self) -> bytes:
        """What is not ours."""
        return FRAME.sub(b"", self.said)

    @property
    def screen(self) -> pyte.Screen:
        screen = pyte.Screen(self.columns, self.rows)
        pyte.ByteStream(screen).feed(self.said)
        return screen
