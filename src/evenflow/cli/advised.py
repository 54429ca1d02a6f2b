"""What `evenflow preflight` advises, as a patch of the model's source: foreseen again once made."""

from __future__ import annotations

import json as jsons
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..lang import _
from ..patching import CannotPatch, KnownTraining, Patch, sources_of
from . import patches, writing
from .consoles import refuse, stderr, stdout

if TYPE_CHECKING:
    from ..forecast import Forecast

#: A patched model is foreseen again in so many seconds at most.
LONGEST = 600.0
#: Chances this close to what was advised are the same, rounding aside.
CLOSE = 0.02


class AskedForecast(NamedTuple):
    """What the command was given: what makes the model, and what goes into it."""

    factory: str
    inputs: tuple[str, ...]
    seed: int
    dtype: str


def patch(
    asked: AskedForecast,
    model: Any,
    forecast: Forecast,
    lines: Any,
    target: Path,
    force: bool,
    json: bool,
) -> int:
    """Write the first advice that can be written; 0, or the exit code where none is."""
    console = stderr() if json else stdout()
    candidates = _candidates(forecast)
    if not candidates:
        return refuse("preflight", _("nothing is advised, so there is no patch."), 3)
    said: object = ""
    for change, expected in candidates.items():
        try:
            with redirect_stdout(sys.stderr):
                made = _made(asked, model, change, lines)
        except (CannotPatch, ValueError) as error:
            said = said or error
            continue
        if not made.whole:
            said = said or "; ".join(map(str, made.notes))
            continue
        chance = _foreseen(asked, made)
        if chance is None or chance < expected:
            told = _("with {change} in its text the model's chance is {chance}, not {expected}.")
            shown = "?" if chance is None else f"{chance:.2f}"
            said = said or told.format(change=change, chance=shown, expected=f"{expected:.2f}")
            continue
        told = _("{change}: the patched model's chance to train is {chance} (before: {before}).")
        before = f"{forecast.chance:.2f}"
        words = told.format(change=change, chance=f"{chance:.2f}", before=before)
        console.print()
        console.print(words, highlight=False, markup=False)
        try:
            patches.handed_over(made, target, False, Path.cwd(), console, force)
        except (CannotPatch, writing.NotWritten) as error:
            return refuse("preflight", error)
        return 0
    return refuse("preflight", _("no patch is offered: {why}").format(why=said), 3)


def _candidates(forecast: Forecast) -> dict[str, float]:
    """What is advised -> the chance that the patched model must have: what the advice foresaw, or,
    of treatments that findings name and nobody tried, more than the model has as it is."""
    found = {a.change: a.chance - CLOSE if a.chance == a.chance else 0.0 for a in forecast.advice}
    better = min(1.0, forecast.chance + CLOSE) if forecast.chance == forecast.chance else 0.0
    for finding in forecast.findings:
        for text in finding.treatments:
            found.setdefault(str(text), better)
    return {k: v for k, v in found.items() if not k.startswith("edit=")}


def _made(asked: AskedForecast, model: Any, course: str, lines: Any) -> Patch:
    """The edit for a course. CannotPatch or ValueError where there is none."""
    from ..forecast import known_to_patch, parse_input
    from ..patching import patched

    folder = Path.cwd()
    wanted = [parse_input(text) for text in asked.inputs]
    known = known_to_patch(model, wanted, course, str(folder.resolve()), lines.of, asked.seed)
    names = set(_files(known))
    if not names:
        raise CannotPatch(_("no file below this folder makes the model."))
    return patched(sources_of(folder, names), course, known)


def _files(known: KnownTraining) -> Iterable[str]:
    for root in known.roots:
        yield from (s.file for s in root.made)
        for view in root.views.values():
            for a in view.activations:
                yield from (s.file for s in (a.called, a.made) if s is not None)


def _foreseen(asked: AskedForecast, made: Patch) -> float | None:
    """The chance of the patched model, foreseen by a process of its own in a scratch copy."""
    from ..trial import FolderSnapshot

    with tempfile.TemporaryDirectory() as scratch:
        with FolderSnapshot(Path.cwd(), Path(scratch) / "snapshot") as snapshot:
            folder = snapshot.copy(Path(scratch) / "copy")
        for name, raw in made.after.items():
            (folder / name).write_bytes(raw)
        command = [sys.executable, "-m", "evenflow", "preflight", "--json"]
        command += ["--seed", str(asked.seed), *(["--dtype", asked.dtype] if asked.dtype else [])]
        command += [f"--input={text}" for text in asked.inputs] + [asked.factory]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=LONGEST
            )
            chance = jsons.loads(done.stdout)["chance"]
        except (subprocess.SubprocessError, ValueError, KeyError):
            return None
    return float(chance) if isinstance(chance, (int, float)) else None
