"""Patches shown, written to a file, and written into the sources: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..lang import _
from ..patching import CannotPatch, Note, Patch
from ..showing import visible
from . import writing

if TYPE_CHECKING:
    from rich.console import Console

    from ..trial import PatchProof

#: A longer diff is shown in part: the file has all of it.
SHOWN = 80
#: How a diff of ours begins; `git apply` and `patch` pass over what is before the first file.
HEAD = "Evenflow patch"


def needed() -> str:
    """What has to be installed for patches; "" if it is."""
    try:
        from ..patching import patched  # noqa: F401 - it imports LibCST
    except ModuleNotFoundError as error:
        return str(error)
    return ""


def check_source(path: Path, name: str) -> None:
    """CannotPatch for a script that cannot be edited, before hours are spent on it."""
    from ..patching import readable

    try:
        raw = path.read_bytes()
    except OSError as error:
        said = _("cannot read {name}: {error}.")
        raise CannotPatch(said.format(name=repr(name), error=error.strerror or error)) from None
    readable(raw, name)


def show(patch: Patch, console: Console) -> None:
    """The diff, in colours where there are any, and what is left to do by hand."""
    from rich.syntax import Syntax

    lines = patch.diff.decode("utf-8", "replace").splitlines()
    text = visible("\n".join(lines[:SHOWN]), lines=True)
    if console.is_terminal:
        console.print(Syntax(text, "diff", background_color="default", word_wrap=False))
    else:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    if len(lines) > SHOWN:
        said = _("... {n} more lines").format(n=len(lines) - SHOWN)
        console.print(said, highlight=False, markup=False)
    notes(patch.notes, console)


def notes(left: Sequence[Note], console: Console) -> None:
    """What no automatic edit could do."""
    for note in left:
        console.print(visible(str(note)), highlight=False, markup=False, soft_wrap=True)


def table(proof: PatchProof, before: Sequence[float | None], console: Console) -> None:
    """Untreated, treated and patched, seed by seed."""
    from rich.table import Table

    heads = _("seed"), _("before"), _("treated"), _("patched")
    made = Table(*heads, box=None, pad_edge=False, header_style="", show_edge=False)
    old: Sequence[float | None] = before if len(before) == len(proof.seeds) else [None] * 9
    for seed, bare, treated, patched in zip(
        proof.seeds, old, proof.treated, proof.patched, strict=False
    ):
        made.add_row(
            str(seed), *("-" if v is None else f"{v:.4g}" for v in (bare, treated, patched))
        )
    console.print(made, highlight=False, markup=False)


def write_diff(target: Path, patch: Patch, force: bool = False) -> None:
    """The diff into a file of its own. Raises NotWritten."""
    head = f"{HEAD}: {patch.treatments}\n".encode()
    inputs = [Path(name) for name in patch.before]
    writing.write(target, head + patch.diff, inputs, force)


def apply_command(target: Path, folder: Path) -> str:
    """What to type, in `folder`, to apply a diff."""
    near = shlex.quote(os.path.relpath(target, folder))
    return f"git apply {near}" if _git(folder, "rev-parse") is not None else f"patch -p1 < {near}"


def clean(folder: Path) -> bool:
    """Could git bring back all that is in the folder?"""
    return _git(folder, "status", "--porcelain") == ""


def write_sources(folder: Path, patch: Patch, clean: bool) -> list[Path]:
    """The edited texts into the sources themselves; backups where git could not bring them back.

    Args:
        folder: what the patch's paths are relative to.
        patch: before and after.
        clean: git has what is there, so that no backup is needed.

    Returns:
        The backups that were written.

    Raises:
        CannotPatch: a source has changed, or cannot be written; nothing is.
    """
    unchanged(folder, patch)
    for name in patch.after:
        path = folder / name
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            said = _("{name} or its folder cannot be written; nothing was changed.")
            raise CannotPatch(said.format(name=repr(name)))
    backups: list[Path] = []
    done: list[str] = []
    try:
        if not clean:
            for name, raw in patch.before.items():
                backups.append(_free(folder / name))
                backups[-1].write_bytes(raw)
        for name, raw in patch.after.items():
            with writing.replacing(folder / name) as new:
                Path(new).write_bytes(raw)
            done.append(name)
    except OSError as error:
        _put_back(folder, patch.before, done)
        for path in backups:
            path.unlink(missing_ok=True)
        said = _("cannot write the edited files: {error}; nothing was changed.")
        raise CannotPatch(said.format(error=error.strerror or error)) from None
    return backups


def unchanged(folder: Path, patch: Patch) -> None:
    """CannotPatch if a source is no longer what the patch was made of."""
    for name, raw in patch.before.items():
        try:
            same = (folder / name).read_bytes() == raw
        except OSError:
            same = False
        if not same:
            said = _("{name} has changed since the patch was made: give the command again.")
            raise CannotPatch(said.format(name=repr(name)))


def _put_back(folder: Path, before: Mapping[str, bytes], names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            (folder / name).write_bytes(before[name])


def _free(path: Path) -> Path:
    """A name beside a file that nothing has yet."""
    made = path.with_name(f"{path.name}.orig")
    k = 2
    while made.exists():
        made, k = path.with_name(f"{path.name}.orig{k}"), k + 1
    return made


def _git(folder: Path, *words: str) -> str | None:
    """What git says; None where there is no git, or no tree of its."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def handed_over(
    patch: Patch, target: Path | None, write: bool, folder: Path, console: Console, force: bool
) -> None:
    """Show a patch that is offered, write what was asked for, and say how to apply it.

    Raises:
        CannotPatch, NotWritten: what was not written, and why.
    """
    show(patch, console)
    unchanged(folder, patch)
    kept_by_git = clean(folder)  # before the diff is one more file
    if target is not None:
        write_diff(target, patch, force)
        print(_("wrote {file}").format(file=visible(str(target))), file=sys.stderr)
    if write:
        backups = write_sources(folder, patch, kept_by_git)
        for name in patch.after:
            print(_("wrote {file}").format(file=visible(name)), file=sys.stderr)
        for path in backups:
            kept = visible(os.path.relpath(path, folder))
            said = _("the git tree is not clean, or there is none: what was there is in {file}")
            print(said.format(file=kept), file=sys.stderr)
    elif target is not None:
        said = _("Next: {command}").format(command=apply_command(target, folder))
        print(said, file=sys.stderr)
