"""The script's side of the live display: start the painter, and end it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ...lang import language
from ...whose import strict

#: Seconds that ending waits for the painter to give the terminal back.
PATIENCE = 3.0
_STDERR = 2
#: Forked before anything is imported, so that no child of the script's is left: one that waits for
#: all its children (`os.wait()`) would wait for ours.
_START = """
import os, sys
os.fork() and os._exit(0)
if not getattr(sys.flags, "safe_path", False): del sys.path[0]
from evenflow.cli.live.painter import main
main(*sys.argv[1:])
"""


class LiveDisplay:
    """A painter that runs. `end` it before anything else is said."""

    def __init__(self, path: Path, chosen: Sequence[str], ignored: Sequence[str]) -> None:
        flags = ["-P"] if sys.version_info >= (3, 11) else []
        given = str(path.absolute()), str(os.getpid()), ",".join(chosen), ",".join(ignored)
        told = {"EVENFLOW_LANG": language(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        its, self._word = os.pipe()  # to end
        self._ended, alive = os.pipe()  # its other end is open as long as the painter is
        try:
            subprocess.run(
                [sys.executable, *flags, "-c", _START, *given],
                stdin=its,
                stdout=_STDERR,
                stderr=None if strict() else subprocess.DEVNULL,
                env=os.environ | told,
                pass_fds=(alive,),
                check=True,
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(its)
            os.close(alive)

    def end(self) -> None:
        """Have the terminal given back. A word is said, for a process that the script forked may
        hold the pipe open."""
        try:
            os.write(self._word, b"end")
            select.select([self._ended], [], [], PATIENCE)
        except OSError:  # it has ended, or the script has closed what it did not open
            pass
        self._close()

    def _close(self) -> None:
        for fd in (self._word, self._ended):
            with contextlib.suppress(OSError):
                os.close(fd)


def live_display(
    path: Path, select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> LiveDisplay | None:
    """One for this run; None where stderr is no terminal that can be drawn on."""
    if not os.isatty(_STDERR) or os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        return None
    return LiveDisplay(path, select, ignore)
