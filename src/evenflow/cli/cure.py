"""`evenflow cure`: find what mends a script, prove it, and hand it over."""

from __future__ import annotations

import json as jsons
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..lang import _, ngettext
from ..script import Program, hint
from . import writing
from .consoles import as_json, refuse, stderr, stdout
from .options import Arguments, Force, Module
from .speaking import Lang

if TYPE_CHECKING:
    from ..trial import Cure, Job, Outcome, Settings

Metric = Annotated[
    str,
    typer.Option(
        metavar="REGEX",
        show_default=False,
        help="What is to get better: the last match in the script's output, such as "
        "'acc ([0-9.]+)'. Default: the training loss.",
    ),
]
Budget = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Wall time for all trials (90s, 10m, 1.5h), or runs of the script (12x).",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        metavar="N",
        show_default=False,
        help="Runs side by side. Default: as many as cores and memory allow.",
    ),
]
InPlace = Annotated[
    bool,
    typer.Option("--in-place", help="Run in the folder itself, not in scratch copies of it."),
]
Without = Annotated[
    str,
    typer.Option(
        metavar="KINDS",
        show_default=False,
        help="Treatments not to try, such as 'norm, rezero' or 'init=he'.",
    ),
]
Checkup = Annotated[
    Path | None,
    typer.Option(
        "--checkup",
        metavar="FILE",
        help="Try first what a check-up names: JSON of `evenflow checkup --out FILE`.",
    ),
]
Apply = Annotated[
    bool,
    typer.Option("--apply", help="Write the treatment to evenflow.toml, for `evenflow run`."),
]
PatchFile = Annotated[
    Path | None,
    typer.Option(
        "--patch",
        metavar="FILE",
        help="Write the treatment as a diff of the script, in plain PyTorch.",
    ),
]
Write = Annotated[
    bool, typer.Option("--write", help="Write it into the script itself, after showing the diff.")
]


def cure(
    script: Annotated[str, typer.Argument(help="What to cure, as you would run it by `python`.")],
    args: Arguments = None,
    module: Module = False,
    metric: Metric = "",
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Smaller values of the metric are better.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(metavar="N", help="Runs with and without, as the proof.")
    ] = 3,
    budget: Budget = "10m",
    jobs: Jobs = 0,
    in_place: InPlace = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what earlier cures of this script have run.")
    ] = False,
    without: Without = "",
    checkup: Checkup = None,
    apply: Apply = False,
    patch: PatchFile = None,
    write: Write = False,
    force: Force = False,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON on stdout.")] = False,
    lang: Lang = None,
) -> int:
    """Find what mends a training script, and prove it by trials.

    Runs it watched, tries treatments on copies of it side by side, and proves the best over seeds.
    The script itself is not changed, unless --write asks for it. Evenflow's options come before
    SCRIPT.
    """
    from ..trial import Settings

    program = Program(script, str(Path.cwd()), tuple(args or ()), module)
    if not module and not Path(program.folder, script).is_file():
        said = _("there is no file {name}.").format(name=repr(script))
        return refuse("cure", said + hint(script))
    left_out = tuple(filter(None, map(str.strip, without.split(","))))
    try:
        first = () if checkup is None else _named(checkup)
    except ValueError as error:
        return refuse("cure", error)
    edit = patch is not None or write
    if edit and (missing := _not_ready(program, patch, force)):
        return refuse("cure", missing)
    settings = Settings(
        metric, minimize, seeds, budget, jobs, in_place, fresh, left_out, first, edit
    )
    found = _tried(program, settings)
    if isinstance(found, int):
        return found
    code = _hand_over(program, found, json, apply, edit)
    _kept(program, settings, found)
    return (_patched(program, found, patch, write, force, json) or code) if edit else code


def _not_ready(program: Program, patch: Path | None, force: bool) -> str:
    """Why no patch could be handed over in the end, before anything is run; "" if nothing is."""
    from . import patches

    if missing := patches.needed():
        return missing
    from ..patching import CannotPatch

    try:
        if patch is not None:
            writing.check(patch, force=force)
        if not program.module:
            patches.check_source(Path(program.folder, program.target), program.target)
    except (writing.NotWritten, CannotPatch) as error:
        return str(error)
    return ""


def _patched(
    program: Program, found: Cure, patch: Path | None, write: bool, force: bool, json: bool
) -> int:
    """Show the patch and its proof, and write what was asked for; 3 where none is offered."""
    from ..patching import CannotPatch
    from . import patches

    console = stderr() if json else stdout()
    proof = found.patch
    if proof is None:
        said = _("nothing was chosen, so there is no patch; no file was written.")
        return refuse("cure", said, 0 if found.verdict == "healthy" else 3)
    if isinstance(proof, str):
        return refuse("cure", _("no patch: {why}").format(why=proof), 3)
    console.print()
    patches.table(proof, found.before.per_seed, console)
    console.print(proof.why, highlight=False, markup=False)
    if not proof.offered:
        patches.notes(proof.patch.notes, console)
        return refuse("cure", _("the patch is not offered; no file was written."), 3)
    try:
        folder = Path(program.folder)
        patches.handed_over(proof.patch, patch, write, folder, console, force)
    except (CannotPatch, writing.NotWritten) as error:
        return refuse("cure", error)
    return 0


def _named(file: Path) -> tuple[str, ...]:
    """The treatments that a check-up names. ValueError for a file that holds none of them."""
    try:
        told = jsons.loads(file.read_text(encoding="utf-8"))
        failed = [e for e in told["experiments"] if e["status"] == "failed"]
        return tuple(dict.fromkeys([str(text) for e in failed for text in e["treatments"]]))
    except (OSError, ValueError, KeyError, TypeError):
        said = _("{name!r} is no result of `evenflow checkup --json`.")
        raise ValueError(said.format(name=str(file))) from None


def _tried(program: Program, settings: Settings) -> Cure | int:
    """What was found, or the exit code: 2 (wrong usage), 3 (not judged), 130 (interrupted)."""
    from ..trial import CannotCure, conduct

    display = _Display(program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of `finally`
    try:
        with display.progress:
            return conduct(program, settings, on_stage=display.stage, on_outcome=display.outcome)
    except ValueError as error:
        return refuse("cure", error, lines=True)
    except CannotCure as error:
        return refuse("cure", error, 3, lines=True)
    except KeyboardInterrupt:
        said = _(
            "interrupted; all that it started has been stopped. What was run is kept: the same "
            "command goes on from here."
        )
        return refuse("cure", said, 130)


def _hand_over(program: Program, found: Cure, json: bool, apply: bool, edit: bool) -> int:
    """Show it, and write it to evenflow.toml where that is asked for."""
    from ..trial import project_config, render

    if json:
        print(as_json(found.as_json()))
    render(found, stderr() if json else stdout())
    if apply and not found.chosen:
        refuse("cure", _("nothing to apply; no file was written."))
    elif apply:
        path = project_config.write(program, found.chosen)
        said = _("wrote {path}: `{command}` applies it.")
        command = f"evenflow run {program.target}"
        print(said.format(path=path, command=command), file=sys.stderr)
    elif found.chosen and not edit:
        again = shlex.join(["evenflow", "cure", "--apply", program.target, *program.args])
        said = _("Next: {command}   (evenflow run then applies it)").format(command=again)
        print(said, file=sys.stderr)
    return int(found.verdict in ("uncured", "out-of-budget"))


def _kept(program: Program, settings: Settings, found: Cure) -> None:
    """For `evenflow ui`; a cure that cannot be kept is one all the same."""
    from ..trial import keep_cure

    try:
        path = keep_cure(program, settings, found)
    except OSError as error:
        said = _("warning: the cure was not kept ({error})")
        print(said.format(error=error.strerror or error), file=sys.stderr)
        return
    if path is not None:
        print(_("Look at it: evenflow ui   ({name})").format(name=path.name), file=sys.stderr)


class _Display:
    """Progress on a terminal; one line a stage elsewhere."""

    def __init__(self, program: Program) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        self.console = stderr()
        self.name = Path(program.target).name
        columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        plain = not self.console.is_terminal
        self.progress = Progress(*columns, console=self.console, disable=plain)
        self.began = time.monotonic()

    def stage(self, stage: str, jobs: int) -> None:
        """A stage begins."""
        from ..words import CURE_STAGES

        words = _(CURE_STAGES.get(stage, stage))
        if self.progress.disable:
            runs = ngettext(" ({n} run)", " ({n} runs)", jobs).format(n=jobs) if jobs else ""
            minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
            line = f"{minutes:2}:{seconds:02} {self.name}: {words}{runs}"
            self.console.print(line, highlight=False, markup=False)
            return
        for task in self.progress.task_ids:
            self.progress.remove_task(task)
        self.progress.add_task(words, total=jobs or None)

    def outcome(self, job: Job, outcome: Outcome, remembered: bool) -> None:
        """A run has ended."""
        for task in self.progress.task_ids:
            self.progress.advance(task)
