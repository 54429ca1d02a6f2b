"""Which runs there are in a folder, and a line about each, read once a change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ..forecast import beside
from ..lang import language
from ..showing import visible
from ..store import SUFFIX, StoreError, load
from ..views import Followed
from .judge import Judge, findings, line

#: Runs that are held in memory at once.
_HELD = 8
#: Forecasts that are set beside a run at most, and bytes of a file that may be one.
_FORECASTS, _SMALL = 8, 1 << 20
#: Share of a forecast's layers that a run must have, or it is of another model.
_ALIKE = 0.8


class Shelf:
    """The runs of a folder and of the folders in it, by their path without its ending."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._held: OrderedDict[str, Followed] = OrderedDict()
        self._judged: dict[tuple[str, str], tuple[tuple[int, int], dict[str, Any]]] = {}
        self._asked: dict[str, tuple[int, int]] = {}
        self._judge = Judge()
        self._lock = threading.Lock()

    def paths(self) -> dict[str, Path]:
        """By name, the newest first."""
        found = []
        for path in self.folder.rglob(f"*{SUFFIX}"):
            try:
                found.append((path.stat().st_mtime_ns, path))
            except OSError:
                continue  # gone since
        found.sort(key=lambda pair: (-pair[0], str(pair[1])))
        return {self.name(path): path for _, path in found}

    def name(self, path: Path) -> str:
        """How a run is called in an address."""
        return path.relative_to(self.folder).as_posix().removesuffix(SUFFIX)

    def path(self, name: str) -> Path:
        """The file of a run. KeyError: none has this name."""
        path = (self.folder / f"{name}{SUFFIX}").resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            raise KeyError(name)
        return path

    def line(self, name: str, path: Path) -> dict[str, Any] | None:
        """What is known of a run without reading it: None until `fill` has looked."""
        known = self._lines.get(name)
        return known[1] if known is not None and known[0] == _mark(path) else None

    def fill(self, name: str, path: Path) -> None:
        """Have a run read and judged for the list; `line` knows it once that is done."""
        mark = _mark(path)
        with self._lock:
            if self._asked.get(name) == mark:
                return
            self._asked[name] = mark

        def known(told: Future[dict[str, Any]]) -> None:
            with self._lock:
                self._asked.pop(name, None)
            error = told.exception()
            why = {"verdict": "unreadable", "why": visible(str(error))[:300]}
            self._lines[name] = mark, why if error else told.result()

        self._judge.ask(line, path).add_done_callback(known)

    def close(self) -> None:
        """End the process that judges."""
        self._judge.close()

    def beside(self, name: str) -> list[dict[str, Any]]:
        """What forecasts of this folder foresaw of a run: those that are of its model."""
        run, out = load(self.path(name), partial=True), list[dict[str, Any]]()
        for other, path in self.paths().items():
            try:
                told = self.line(other, path) or {}
                may = told.get("source", "predicted") == "predicted" and other != name
                if may and path.stat().st_size <= _SMALL and len(out) < _FORECASTS:
                    forecast = load(path)
                    pairs = beside(run, forecast)
                    layers = sum(s.kind not in ("input", "loss") for s in forecast.sites)
                    if forecast.source == "predicted" and len(pairs) >= _ALIKE * layers:
                        rows = [{"id": p.site.id, **p.as_dict()} for p in pairs]
                        out.append({"forecast": other, "pairs": rows})
            except (StoreError, OSError, ValueError):  # of another model, or gone since
                continue
        return out

    def followed(self, name: str) -> Followed:
        """The run, read as far as it is written. KeyError, StoreError, OSError."""
        path = self.path(name)
        with self._lock:
            run = self._held.get(name) or Followed(path)
            self._held[name] = run
            self._held.move_to_end(name)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        run.look()
        return run

    def judged(self, name: str) -> dict[str, Any]:
        """Findings as `check --json` gives them, judged anew once the file has changed."""
        path = self.path(name)
        mark = _mark(path)
        key = name, language()
        known = self._judged.get(key)
        if known is None or known[0] != mark:
            known = mark, self._judge.ask(findings, path, language(), first=True).result()
            self._judged[key] = known
        return known[1]


def _mark(path: Path) -> tuple[int, int]:
    """Another one as soon as the run has grown: what is not yet in the file is in its log."""
    sizes = [0, 0]
    for i, end in enumerate(("", "-wal")):
        try:
            found = Path(f"{path}{end}").stat()
            sizes[i] = found.st_size ^ found.st_mtime_ns
        except OSError:
            continue
    return sizes[0], sizes[1]
