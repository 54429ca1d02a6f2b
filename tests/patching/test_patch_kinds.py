"""Every treatment of the registry is either edited or says in a note why it is not."""

from __future__ import annotations

import pytest

from cases import FIRST, MORE
from evenflow.patching import EDITS, KnownTraining, patched
from evenflow.schema import parse_treatments
from evenflow.treatments import REGISTRY, read

#: What a script's form never shows: a note, with the change in words.
NOTED = {
    *("revive", "edit=target-scale", "edit=dtype", "edit=clean-data", "edit=nonlinearity"),
    *("edit=connect", "edit=build-once", "edit=labels", "edit=class-weights", "edit=inputs"),
    *("edit=judge", "edit=shapes", "edit=axis", "edit=causal", "edit=norm", "edit=kl-weight"),
    *("edit=balance", "edit=without-batchnorm", "edit=float32", "edit=truncate"),
}
#: Edited by form alone, as no live treatment does them: `test_patch_loops`.
BY_FORM = {
    *("edit=step", "edit=logits", "edit=train-mode", "edit=shuffle", "edit=average"),
    *("edit=decay", "edit=clip"),
}


def text(name: str) -> str:
    """The first example of an entry, as a treatment's text."""
    entry = REGISTRY[name]
    return f"{entry.kind}={entry.examples[0]}" if entry.examples[0] else entry.kind


def test_the_table_is_the_registry() -> None:
    assert set(EDITS) | NOTED == set(REGISTRY)
    assert not set(EDITS) & NOTED


def test_every_edit_is_run_against_its_treatment() -> None:
    """What is edited stands in a case of `test_patch_forms`, or is a form of its own."""
    tried = {read(t).entry.name for _, course in FIRST + MORE for t in parse_treatments(course)}
    assert set(EDITS) - BY_FORM <= tried


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_where_nothing_is_known_it_is_edited_or_noted(name: str) -> None:
    source = b"import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nopt.step()\n"
    found = patched({"train.py": source}, text(name), KnownTraining())
    assert bool(found.done) != bool(found.notes), found
    assert bool(found.after) == bool(found.done)
    for note in found.notes:
        assert note.treatment == text(name) and note.why.endswith(".") and note.code
        assert str(note).startswith(note.treatment) or note.spot is not None
