"""The painter: a process beside the script's that follows the run file and draws what is new.

It has none of the training's time: no thread of the script's process, no lock of its interpreter,
and a lower priority than its threads.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from ...diagnosis import diagnose
from ...lang import _
from ...report import writable
from ...schema import Severity
from ...store import StoreError, load
from ...views import Followed, Pulse, coloured, pulse_of, rows, sparkline, worst
from .bottom import BottomRows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STDIN, _TERMINAL = 0, 1
#: Seconds between two frames, at least; and between two judgements.
INTERVAL, JUDGED = 0.25, 2.0
#: Share of one core that drawing may take, and as much again judging.
SHARE = 0.01
#: Rows of the picture at most, and columns of the loss.
DEEP, CURVE = 12, 24
_FEW = 4  # columns that no curve is worth
_STYLE = {Severity.error: "bold red", Severity.warning: "bold yellow"}


class Painter:
    """Draws one run until the script ends."""

    def __init__(self, path: Path, script: int, rules: Sequence[Sequence[str]] = ((), ())) -> None:
        from rich.console import Console

        self.run, self.script, self.rules = Followed(path), script, rules
        self.console = Console(file=sys.stdout, highlight=False, markup=False, legacy_windows=False)
        self.bottom = BottomRows(_TERMINAL, self.console.encoding)
        self._judged_steps = -1
        self._worst: tuple[Severity, str] | None = None
        self._judged = False

    def work(self) -> None:
        """Frame by frame, until stdin ends or the script has."""
        threading.Thread(target=self._judging, daemon=True).start()
        pause = INTERVAL
        try:
            while not select.select([_STDIN], [], [], pause)[0] and _alive(self.script):
                began = time.thread_time()
                self.frame()
                pause = max(INTERVAL, (time.thread_time() - began) / SHARE)
        finally:
            self.bottom.release()

    def frame(self) -> None:
        """Take in what is new and draw it, if the terminal is the script's just now."""
        try:
            self.run.look()
        except (StoreError, OSError):  # not there yet, or another program has it
            return
        if not self._free():
            self.bottom.release()
        elif self.run.steps or self.run.curve_steps:
            self.bottom.show(self.lines(*self.bottom.size()))

    def lines(self, columns: int, height: int) -> list[str]:
        """What stands in the bottom rows, each at most so wide."""
        width = columns - 1  # the last column would begin a new line on some terminals
        self.console.width = width
        told = pulse_of(self.run)
        out = [_first(told, self.console, width)]
        if told.strip is not None:
            deep = max(2, min(DEEP, height // 4))
            out += rows(told.strip, self.console, deep, width)
        out.append(self._last(width))
        return [_escaped(row, self.console) for row in out]

    def _last(self, width: int) -> Text:
        from rich.text import Text

        if self._worst is not None:
            severity, said = self._worst
            said = writable(said, self.console.encoding)
            out = Text.assemble(("● ", _STYLE[severity]) if _unicode(self.console) else "! ", said)
        elif self._judged:
            out = Text(_("nothing found so far"), "dim")
        else:
            out = Text(_("not judged yet"), "dim")
        out.truncate(width, overflow="ellipsis" if _unicode(self.console) else "crop")
        return out

    def _judging(self) -> None:
        """In a thread: whatever a judgement takes, the terminal is given back at once."""
        first = True
        while True:
            began = time.thread_time()
            if self.run.steps and len(self.run.steps) != self._judged_steps:
                self.judge()
            took = 0.0 if first else time.thread_time() - began  # the first imports the rules
            first = first and self._judged_steps < 0
            time.sleep(max(JUDGED, took / SHARE))

    def judge(self) -> None:
        """What is wrong so far."""
        self._judged_steps = len(self.run.steps)
        try:
            found = load(self.run.path, partial=True)
            self._worst = worst(found, diagnose(found, *self.rules))
            self._judged = not found.unjudged or self._worst is not None
        except ValueError:  # not there yet, or another program has it
            pass

    def _free(self) -> bool:
        """Is the script in front, and nobody reads keys (a debugger, a pager, an editor)? They
        have the whole terminal, as has the shell while the script is stopped."""
        try:
            if not termios.tcgetattr(_TERMINAL)[3] & termios.ICANON:
                return False
            return os.tcgetpgrp(_TERMINAL) == os.getpgid(self.script)
        except OSError:  # the script's terminal, and not the one that rules its session
            return True


def _first(told: Pulse, console: Console, width: int) -> Text:
    """Name, step, loss with its curve, rate; a rule to the right end."""
    from rich.text import Text

    unicode = _unicode(console)
    dash = "─" if unicode else "-"
    out = Text.assemble((f"{dash}{dash} ", "dim"), ("evenflow", "bold"))
    figures = told.figures()
    left = width - out.cell_len - sum(cell_len(f"  {name} {value}") for name, value in figures) - 3
    for name, value in figures:
        out.append("  ").append(f"{name} ", "dim").append(value)
        if name == _("loss") and left > _FEW:
            curve = sparkline(told.losses, min(CURVE, left - 1), unicode)
            out.append(" ").append(curve, "cyan" if coloured(console) else "")
    out.truncate(width - 3)
    out.append(" ").append(dash * (width - out.cell_len), "dim")
    return out


def _unicode(console: Console) -> bool:
    return writable("─●▁█", console.encoding) == "─●▁█"


def _escaped(row: Text, console: Console) -> str:
    """As the terminal reads it."""
    with console.capture() as caught:
        console.print(row, end="", no_wrap=True, overflow="crop", soft_wrap=True)
    return caught.get()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def main(path: str, script: str, select: str, ignore: str) -> None:
    """Paint until the script ends; nothing that goes wrong is anybody's concern."""

    def leave(*_: Any) -> None:
        raise SystemExit

    os.setpgid(0, 0)  # Ctrl-C and Ctrl-Z are the script's
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    os.nice(10)
    rules = [[code for code in told.split(",") if code] for told in (select, ignore)]
    try:
        Painter(Path(path), int(script), rules).work()
    except OSError:  # the terminal is gone
        pass
    os._exit(0)  # a judgement may go on
