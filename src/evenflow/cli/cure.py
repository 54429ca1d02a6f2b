"""`evenflow cure`: find what mends a script, prove it, and hand it over."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..lang import N_, _, ngettext
from ..trial.job import Job, Outcome, Program
from .judging import stderr, stdout

if TYPE_CHECKING:
    import os

    from rich.progress import Progress, TaskID

    from ..trial.conduct import Settings
    from ..trial.record import Cure

_STAGES = {
    "copy": N_("copying the folder"),
    "watch": N_("running the script as it is, watched"),
    "screen": N_("each treatment by itself"),
    "rates": N_("down the ladder of learning rates"),
    "combine": N_("combinations of the best"),
    "race": N_("the best over a longer horizon"),
    "refine": N_("learning rates around the best"),
    "final": N_("the best over the whole length"),
    "choice": N_("the best over another seed"),
    "confirm": N_("proof over seeds that had no say in the choice"),
}
#: Exit codes: something was found (or nothing was wrong), nothing was.
_FOUND = {
    **dict.fromkeys(("healthy", "cured", "improved", "unproven", "edit"), 0),
    **dict.fromkeys(("uncured", "out-of-budget"), 1),
}


def cure(
    script: str | os.PathLike[str],
    args: Sequence[str] = (),
    *,
    module: bool = False,
    metric: str = "",
    minimize: bool = False,
    seeds: int = 3,
    budget: str = "10m",
    jobs: int = 0,
    in_place: bool = False,
    without: Sequence[str] = (),
) -> Cure:
    """Find a treatment for a training script by trials, and prove it over seeds.

    The script is run as `python SCRIPT ARGS` in the current folder, in scratch copies of it.

    Args:
        script: path of a script (or a module's name, with `module`).
        args: its arguments.
        metric: regular expression with one group; its last match in what the script prints counts.
            Without one the training loss counts.
        minimize: smaller values of the metric are better.
        seeds: pairs of runs, with and without the treatment, that prove it.
        budget: wall time ("10m", "90s", "1.5h"), or run-equivalents ("12x").
        jobs: processes side by side; 0 sizes them to the machine.
        in_place: without scratch copies.
        without: kinds of treatments not to try ("norm", "rezero"), or single ones ("init=he").

    Returns:
        What was found; `verdict` says how it stands, `chosen` is the treatments' text.

    Raises:
        ValueError: a wrong setting.
        CannotCure: the script cannot be run, or does not train.
    """
    from ..trial.conduct import Settings, conduct

    program = Program(str(script), str(Path.cwd()), tuple(args), module)
    left_out = tuple(without)
    settings = Settings(metric, minimize, seeds, budget, jobs, in_place, without=left_out)
    return conduct(program, settings, _child())


def cure_script(program: Program, settings: Settings, as_json: bool, apply: bool) -> int:
    """`evenflow cure`: 0 (found or healthy), 1 (nothing helped), 2 (usage), 3 (not judged)."""
    from ..trial.conduct import CannotCure, conduct

    if not program.module and not Path(program.folder, program.target).is_file():
        from .target import hint

        said = _("there is no file {name}.").format(name=repr(program.target))
        said += hint(program.target)
        print(f"evenflow cure: {said}", file=sys.stderr)
        return 2
    display = _Display(program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of `finally`
    try:
        with display:
            found = conduct(program, settings, _child(), hear=display.stage, heard=display.outcome)
    except ValueError as error:
        print(f"evenflow cure: {error}", file=sys.stderr)
        return 2
    except CannotCure as error:
        print(f"evenflow cure: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print(
            "evenflow cure: "
            + _(
                "interrupted; all that it started has been stopped. What was run is kept: the same "
                "command goes on from here."
            ),
            file=sys.stderr,
        )
        return 130
    if as_json:
        print(json.dumps(found.as_json(), indent=2, allow_nan=False, ensure_ascii=False))
    from ..trial import telling

    telling.tell(found, stderr() if as_json else stdout())
    if apply:
        _apply(program, found)
    elif found.chosen:
        again = shlex.join(["evenflow", "cure", "--apply", program.target, *program.args])
        said = _("Next: {command}   (evenflow run then applies it)").format(command=again)
        print(said, file=sys.stderr)
    return _FOUND[found.verdict]


def _apply(program: Program, found: Cure) -> None:
    if not found.chosen:
        print("evenflow cure: " + _("nothing to apply; no file was written."), file=sys.stderr)
        return
    from ..trial import honour

    folder = Path(program.folder)
    key = program.target if program.module else honour.script_key(program.target, folder)
    path = honour.write(folder, key, found.chosen)
    said = _("wrote {path}: `{command}` applies it.")
    print(said.format(path=path, command=f"evenflow run {program.target}"), file=sys.stderr)


def _child() -> tuple[str, ...]:
    from ..trial.engine import child_command

    return child_command("evenflow.cli.trialled")


class _Display:
    """Progress on a terminal; one line a stage elsewhere."""

    def __init__(self, program: Program) -> None:
        self.console = stderr()
        self.name = Path(program.target).name
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.began = time.monotonic()

    def __enter__(self) -> _Display:
        if self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeElapsedColumn as Elapsed

            words = TextColumn("{task.description}")
            self.progress = Progress(
                words, BarColumn(), MofNCompleteColumn(), Elapsed(), console=self.console
            )
            self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.progress is not None:
            self.progress.stop()

    def stage(self, stage: str, jobs: int) -> None:
        """A stage begins."""
        words = _(_STAGES.get(stage, stage))
        if self.progress is None:
            runs = ngettext(" ({n} run)", " ({n} runs)", jobs).format(n=jobs) if jobs else ""
            minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
            line = f"{minutes:2}:{seconds:02} {self.name}: {words}{runs}"
            self.console.print(line, highlight=False, markup=False)
            return
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task(words, total=jobs or None)

    def outcome(self, job: Job, outcome: Outcome, remembered: bool) -> None:
        """A run has ended."""
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task)
