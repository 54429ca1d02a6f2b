"""Which runs there are in a folder, and a line about each, read once a change."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ..forecast import beside
from ..lang import language
from ..showing import visible
from ..store import FOLDER, SUFFIX, StoreError, is_predicted, load
from ..views import CURE_SUFFIX, Followed, is_model, read_cure
from .verdicts import Judge, findings, line

#: Runs that are held in memory at once.
_HELD = 8
#: Forecasts that are set beside a run at most, and bytes of a file that may be one.
_FORECASTS, _SMALL = 8, 1 << 20
#: Share of a forecast's layers that a run must have, or it is of another model.
_ALIKE = 0.8
#: Folders that are large, and hold no run that a user made.
_SKIPPED = frozenset((".git", ".venv", "venv", "node_modules", "evenflow-cure"))


class Shelf:
    """The runs of a folder and of the folders in it, by their path without its ending."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._held: OrderedDict[str, Followed] = OrderedDict()
        self._judged: dict[tuple[str, str], tuple[tuple[int, int], dict[str, Any]]] = {}
        self._asked: dict[Path, tuple[int, int]] = {}
        self._sources: dict[Path, tuple[tuple[int, int], bool]] = {}
        self._judge = Judge()
        self._lock = threading.Lock()

    def paths(self) -> dict[str, Path]:
        """Runs by name, the newest first."""
        return {name: path for (kind, name), path in self.all().items() if kind == "run"}

    def all(self) -> dict[tuple[str, str], Path]:
        """Runs, cures and models by their kind and name, the newest first; one walk finds them."""
        found: list[tuple[int, str, str, Path]] = []
        for root, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in _SKIPPED]
            here = Path(root)
            kinds = [("run", SUFFIX, f) for f in files if f.endswith(SUFFIX)]
            kinds += [("cure", CURE_SUFFIX, f) for f in files if f.endswith(CURE_SUFFIX)]
            for kind, ending, file in kinds:
                _put(found, kind, self._named(here / file, ending), here / file)
            if is_model(files) and here != self.folder and not here.name.startswith("."):
                _put(found, "fit", self._named(here, ""), here / "model.json")
        inside = {name for _, kind, name, _ in found if kind == "fit"}
        for path in self._models_beside():
            if path.parent.name not in inside:
                _put(found, "fit", path.parent.name, path)
        found.sort(key=lambda each: (-each[0], str(each[3])))
        return {(kind, name): path for _, kind, name, path in found}

    def _models_beside(self) -> list[Path]:
        """Beside evenflow-runs, where `evenflow fit` writes its folders."""
        if self.folder.name != FOLDER:
            return []
        made = [p.parent for p in self.folder.parent.glob("*/preprocessing.skops")]
        made = [p for p in made if p != self.folder and not p.name.startswith(".")]
        return [p / "model.json" for p in made if is_model([f.name for f in p.iterdir()])]

    def _named(self, path: Path, ending: str) -> str:
        """How it is called in an address."""
        return path.relative_to(self.folder).as_posix().removesuffix(ending)

    def path(self, name: str, kind: str = "run") -> Path:
        """The file of a run, a cure or a model. KeyError: none has this name."""
        if kind == "fit":
            return self._model(name)
        path = (self.folder / f"{name}{CURE_SUFFIX if kind == 'cure' else SUFFIX}").resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            raise KeyError(name)
        return path

    def _model(self, name: str) -> Path:
        path = (self.folder / name / "model.json").resolve()
        if path.is_relative_to(self.folder.resolve()) and path.is_file():
            return path
        for other in self._models_beside():
            if other.parent.name == name:
                return other
        raise KeyError(name)

    def cure(self, name: str) -> dict[str, Any]:
        """The record of a cure, and those of its two runs that are still there."""
        told = read_cure(self.path(name, "cure"))
        runs = {}
        for which in ("before", "after"):  # by its own name: the file has no say in it
            with contextlib.suppress(KeyError):
                self.path(f"{name}-{which}")
                runs[which] = f"{name}-{which}"
        return {**told, "name": name, "runs": runs}

    def line(self, path: Path) -> dict[str, Any] | None:
        """What is known of a file without reading it: None until `fill` has looked."""
        known = self._lines.get(path)
        return known[1] if known is not None and known[0] == _mark(path) else None

    def fill(self, path: Path) -> None:
        """Have a file read and judged for the list; `line` knows it once that is done."""
        mark = _mark(path)
        with self._lock:
            if self._asked.get(path) == mark:
                return
            self._asked[path] = mark

        def known(told: Future[dict[str, Any]]) -> None:
            with self._lock:
                self._asked.pop(path, None)
            error = told.exception()
            why = {"verdict": "unreadable", "why": visible(str(error))[:300]}
            self._lines[path] = mark, why if error else told.result()

        self._judge.ask(line, path).add_done_callback(known)

    def close(self) -> None:
        """End the process that judges."""
        self._judge.close()

    def beside(self, name: str) -> list[dict[str, Any]]:
        """What forecasts of this folder foresaw of a run: those that are of its model."""
        path, out = self.path(name), list[dict[str, Any]]()
        run = None
        for other, kept in self.paths().items():
            if other == name or len(out) == _FORECASTS:
                continue
            if not self._foretells(kept):
                continue
            run = run or load(path, partial=True)
            try:
                forecast = load(kept)
                pairs = beside(run, forecast)
            except (StoreError, OSError, ValueError):  # of another model, or gone since
                continue
            layers = sum(s.kind not in ("input", "loss") for s in forecast.sites)
            if forecast.source == "predicted" and len(pairs) >= _ALIKE * layers:
                out.append({"forecast": other, "pairs": [p.as_row() for p in pairs]})
        return out

    def _foretells(self, path: Path) -> bool:
        """Is it a small file that holds a forecast? Looked up once a change."""
        mark = _mark(path)
        known = self._sources.get(path)
        if known is None or known[0] != mark:
            known = mark, False
            with contextlib.suppress(StoreError, OSError):  # none of ours, or gone since
                known = mark, path.stat().st_size <= _SMALL and is_predicted(path)
            self._sources[path] = known
        return known[1]

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


def _put(found: list[tuple[int, str, str, Path]], kind: str, name: str, path: Path) -> None:
    with contextlib.suppress(OSError):  # gone since
        about = path.stat()
        if about.st_size or kind != "cure":  # else its name alone is taken yet
            found.append((about.st_mtime_ns, kind, name, path))


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
