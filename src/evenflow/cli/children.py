"""Training in processes that the script started: they are not watched, and how they would be."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..lang import _
from ..script import Program

#: What starts other processes to train: (its name as a command, its way to run any program).
_LAUNCHERS = {
    "torch.distributed.run": ("torchrun", "--no-python"),
    "torch.distributed.launch": ("torchrun", "--no-python"),
    "torchrun": ("torchrun", "--no-python"),
    "accelerate.commands.launch": ("accelerate launch", "--no_python"),
    "accelerate": ("accelerate", "--no_python"),
    "deepspeed.launcher.runner": ("deepspeed", "--no_python"),
    "deepspeed": ("deepspeed", "--no_python"),
}
#: Seconds of processor time that children took, from which on they may have trained.
_BUSY = 1.0


def why_not_here(program: Program, seconds: float | None = None) -> str:
    """Where the training may have been, if this process saw none; "" if nothing speaks for it.

    `seconds` of processor time took the processes that were started and have ended (None: ask the
    system).
    """
    name = program.target if program.module else Path(program.target).stem
    if name in _LAUNCHERS:
        launcher, any_program = _LAUNCHERS[name]
        command = _command(launcher, any_program, program.args)
        said = _(
            "{launcher} trains in processes that it starts, and they are not watched from here; "
            "watch each of them: {command}"
        )
        return said.format(launcher=launcher, command=command)
    if (_spent() if seconds is None else seconds) >= _BUSY:
        return _(
            "the script started other processes, which are not watched: if they train, call "
            "evenflow.watch() in the function that they run"
        )
    return ""


def _command(launcher: str, any_program: str, args: tuple[str, ...]) -> str:
    """The same launch with `evenflow run` in between."""
    at = next((i for i, a in enumerate(args) if a.endswith(".py")), None)
    if at is None:
        return f"{launcher} ... {any_program} evenflow run train.py"
    given = [a for a in args[:at] if a not in ("-m", "--module")]
    return shlex.join([*launcher.split(), *given, any_program, "evenflow", "run", *args[at:]])


def _spent() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
