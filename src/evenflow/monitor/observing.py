"""The thread in which observers are called: it follows the run file, as any other program could."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ..lang import _
from ..schema import Event, Finding, Parameter, Site
from ..store import Position, Writer, follow, load
from .observer import Observer, SampledStep
from .saying import warn

#: Seconds between two looks at the file, at least; and between two judgements.
INTERVAL, JUDGED = 0.5, 1.0
#: Seconds that closing waits for observers.
PATIENCE = 10.0
#: Looks in a row that may fail.
TRIES = 3


class Observing:
    """Calls the observers of one watch.

    The training thread has no part in it. What a look or a judgement takes is waited for many times
    over before the next, so that both keep to `budget`, a share of the time.

    Args:
        first: steps before it were another session's (`resume`) and are not told.
    """

    def __init__(
        self, writer: Writer, observers: Iterable[Observer], budget: float, first: int = 0
    ) -> None:
        self._writer, self._observers = writer, list(observers)
        self._share, self._first = max(budget, 1e-3), first
        self._position: Position | None = None
        self._sites: dict[int, Site] = {}
        self._params: dict[int, Parameter] = {}
        self._meta: dict[str, Any] = {}
        self._findings: list[Finding] = []
        self._unjudged, self._judge_at = False, 0.0
        self._closing, self._pid, self._unread = False, os.getpid(), 0
        self._wake = threading.Event()
        self._cpu = self._asked = 0.0  # seconds, of our thread
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="evenflow-observers", daemon=True)
        self._thread.start()
        atexit.register(self._exit)

    def took(self) -> float:
        """Seconds of processor time since this was asked last."""
        before, self._asked = self._asked, self._cpu
        return self._asked - before

    def close(self, wait: bool = True) -> None:
        """Tell what is left, now that the file is closed; `wait`, but not for ever, until it is."""
        if os.getpid() != self._pid:
            return
        atexit.unregister(self._exit)
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closing = True
        self._wake.set()
        if not wait:
            return
        thread.join(PATIENCE)
        if thread.is_alive():
            said = _("Evenflow's observers are not done within {seconds:.0f} s and are left.")
            warn(said.format(seconds=PATIENCE))

    def _exit(self) -> None:
        """The script ends without having closed its watch."""
        self._writer.close()
        self.close()

    # The thread.

    def _work(self) -> None:
        pause = 0.0
        while True:
            self._wake.wait(max(INTERVAL, pause))
            last = self._closing
            began = time.thread_time()
            try:
                self.look(last)
                self._unread = 0
            except BaseException as error:
                self._unread += 1  # another program may hold the file
                if last or self._unread >= TRIES:
                    said = _("Evenflow's observers hear no more ({error}); training goes on.")
                    self._leave(said.format(error=_told(error)))
                    return
            self._cpu = time.thread_time()
            if last or not self._observers:
                return
            pause = (self._cpu - began) / self._share

    def look(self, last: bool = False) -> None:
        """Tell what is new in the file; `last`: and that it is closed."""
        news = follow(self._writer.path, self._position, partial=True)
        self._position = news.position
        self._sites.update((site.id, site) for site in news.sites)
        self._params.update((param.id, param) for param in news.params)
        self._meta.update(news.meta)
        for reading in news.readings:  # all of them come again where the run goes on elsewhere
            if reading.step >= self._first:
                self._first = reading.step + 1
                sites, params = dict(self._sites), dict(self._params)
                self._call("sampled", SampledStep(reading, sites, params, dict(self._meta)))
        self._unjudged |= bool(news.readings) or len(news.curve_steps) > 0
        due = self._unjudged and time.monotonic() >= self._judge_at
        if last or (due and (self._hears("opened") or self._hears("closed"))):
            self._judge(last)

    def _judge(self, last: bool) -> None:
        if last and not any(map(self._hears, ("opened", "closed", "ended"))):
            return
        from ..diagnosis import diagnose  # late, as in `Watch`

        began = time.thread_time()
        run = load(self._writer.path, partial=True)
        findings = diagnose(run)
        opened, closed = changes(self._findings, findings)
        self._findings, self._unjudged = findings, False
        for what, changed in (("closed", closed), ("opened", opened)):
            for finding in changed:
                self._call(what, finding, [run.sites[i] for i in finding.sites])
        if last:
            self._call("ended", run, findings)
        took = time.thread_time() - began
        self._judge_at = time.monotonic() + max(JUDGED, took / self._share)

    def _hears(self, what: str) -> bool:
        return any([getattr(type(o), what) is not getattr(Observer, what) for o in self._observers])

    def _call(self, what: str, *args: Any) -> None:
        for observer in list(self._observers):
            try:
                getattr(observer, what)(*args)
            except BaseException as error:
                self._observers.remove(observer)
                said = _("Observer {name} failed ({error}) and hears no more; training goes on.")
                self._leave(said.format(name=type(observer).__name__, error=_told(error)))

    def _leave(self, said: str) -> None:
        self._writer.event(Event("note", max(0, self._first - 1), {"text": said[:500]}))
        warn(said)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def changes(
    before: Sequence[Finding], now: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """(findings opened, findings closed) from one judgement to the next.

    Which sites a finding names changes as a run goes on. Of one code, the same fault is what shares
    a site or a parameter with one before (or both are of the run as a whole); one that has become
    more severe is opened again.
    """
    kept: set[int] = set()
    opened = []
    for finding in now:
        same = [i for i, old in enumerate(before) if _same(old, finding)]
        kept.update(same)
        if all([before[i].severity < finding.severity for i in same]):
            opened.append(finding)
    return opened, [old for i, old in enumerate(before) if i not in kept]


def _same(one: Finding, other: Finding) -> bool:
    if one.code != other.code:
        return False
    places = [{*f.sites, *f.params} for f in (one, other)]
    return not places[0].isdisjoint(places[1]) or not (places[0] or places[1])
