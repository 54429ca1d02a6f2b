"""The script's side of the live display: start the painter, and end it."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
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
main(sys.argv[1], int(sys.argv[2]))
"""


class LiveDisplay:
    """A painter that runs. `end` it before anything else is said."""

    def __init__(self, path: Path) -> None:
        ours, its = socket.socketpair()
        flags = ["-P"] if sys.version_info >= (3, 11) else []
        told = {"EVENFLOW_LANG": language(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with its:
            subprocess.run(
                [sys.executable, *flags, "-c", _START, str(path.absolute()), str(os.getpid())],
                stdin=its.fileno(),
                stdout=_STDERR,
                stderr=None if strict() else subprocess.DEVNULL,
                env=os.environ | told,
                check=True,
            )
        self._socket = ours

    def end(self) -> None:
        """Have the terminal given back. What forked processes hold of the socket keeps nothing."""
        with self._socket as ours:
            try:
                ours.shutdown(socket.SHUT_WR)
                until = time.monotonic() + PATIENCE
                while (left := until - time.monotonic()) > 0:
                    if select.select([ours], [], [], left)[0] and not ours.recv(64):
                        return
            except OSError:  # it has ended
                return


def live_display(path: Path) -> LiveDisplay | None:
    """One for this run; None where stderr is no terminal that can be drawn on."""
    if not os.isatty(_STDERR) or os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        return None
    return LiveDisplay(path)
