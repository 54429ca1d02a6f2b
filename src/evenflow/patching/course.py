"""From sources, a course of treatments and what is known of the training to a patch. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..lang import _
from ..schema import parse_treatments
from ..treatments import Parsed, in_order, read
from .diffing import diff_of
from .editing import Editing
from .edits import EDITS
from .known import KnownTraining
from .patch import CannotPatch, Patch, Unfit
from .script_file import ScriptFile
from .sources import decoded


def patched(sources: Mapping[str, bytes], course: str, known: KnownTraining) -> Patch:
    """The edit of a script that does what a course of treatments does, in plain PyTorch.

    Args:
        sources: the script's own files, bytes by path.
        course: treatments as `treat_` takes them.
        known: what a survey found; an empty one leaves optimizers to be found by their form.

    Returns:
        New texts and their diff; notes for what no automatic edit could do.

    Raises:
        CannotPatch: a source cannot be read, or no file would be sound after the edit.
        ValueError: an unknown treatment.

    >>> from evenflow.patching import KnownTraining, patched
    >>> source = b"import torch\\nopt = torch.optim.SGD(model.parameters(), lr=0.5)\\n"
    >>> found = patched({"train.py": source}, "lr=x0.5", KnownTraining())
    >>> print(found.after["train.py"].decode().splitlines()[1])
    opt = torch.optim.SGD(model.parameters(), lr=0.25)
    """
    chosen = in_order(map(read, parse_treatments(course)))
    editing = Editing(sources, known, chosen)
    for p in chosen:
        _edit(editing, p)
    try:
        editing.finish()
    except Unfit as why:
        raise CannotPatch(str(why)) from None
    after = editing.texts()
    before = {name: sources[name] for name in after}
    return Patch(
        course, before, after, diff_of(before, after), tuple(editing.done), tuple(editing.notes)
    )


def readable(raw: bytes, name: str) -> None:
    """Nothing, if a source can be edited at all.

    Args:
        raw: its bytes. name: how messages call it.

    Raises:
        CannotPatch: its encoding or its syntax cannot be read; the message says which, and where.

    >>> from evenflow.patching import readable
    >>> readable(b"x = 1", "train.py")
    """
    ScriptFile(name, decoded(raw, name))


def _edit(editing: Editing, p: Parsed) -> None:
    """One treatment, or a note that says why not; of several models each by itself."""
    edit = EDITS.get(p.entry.name)
    editing.root, editing.viewed = 0, False
    try:
        if edit is None:
            raise Unfit(_("what to change here is a matter of meaning, which no form shows."))
        edit(editing, p)
        for root in range(1, len(editing.known.roots) if editing.viewed else 0):
            editing.root = root
            if editing.known.view(root, str(p)) is not None:  # else the trial left it as it was
                edit(editing, p)
    except Unfit as why:
        editing.note(p, why)
