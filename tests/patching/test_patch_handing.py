"""What is proven is offered, and written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from evenflow.cli import patches, writing
from evenflow.patching import CannotPatch, KnownTraining, Patch, patched
from evenflow.trial.patch_proof import judged
from patience import HANG

SOURCE = b"import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.5)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_bytes(SOURCE)
    (tmp_path / "more.py").write_bytes(SOURCE)
    return tmp_path


@pytest.fixture
def patch() -> Patch:
    return patched({"train.py": SOURCE, "more.py": SOURCE}, "lr=x0.1", KnownTraining())


def git(folder: Path) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def texts(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


# --- the rule -------------------------------------------------------------------------------


def test_equal_to_the_bit_is_offered() -> None:
    assert judged([0.9, 0.8], [0.9, 0.8], [0.1, 0.1], True) == (
        True,
        "equal to the treated runs to the bit.",
    )


def test_within_the_noise_of_seeds_is_offered() -> None:
    assert judged([0.90, 0.94], [0.93, 0.90], [0.1, 0.1], True)[0]
    assert judged([0.20, 0.24], [0.23, 0.20], [2.3, 2.3], False)[0]


def test_better_than_the_treated_is_offered() -> None:
    assert judged([0.90, 0.91], [0.99, 0.99], [0.1, 0.1], True)[0]


@pytest.mark.parametrize(
    ("treated", "new", "untreated", "larger"),
    [
        ([0.95, 0.95], [0.60, 0.60], [0.1, 0.1], True),  # half way
        ([0.2, 0.2], [1.5, 1.5], [2.3, 2.3], False),
        ([0.95, 0.95], [0.95, None], [0.1, 0.1], True),  # it breaks on one seed
        ([0.12, 0.90], [0.05, 0.05], [0.1, 0.1], True),  # noisy, but worse than nothing
        ([], [], [], True),
    ],
)
def test_what_falls_short_is_not(
    treated: list[float], new: list[float | None], untreated: list[float], larger: bool
) -> None:
    assert not judged(treated, new, untreated, larger)[0]


def test_a_part_of_a_course_must_be_better_than_nothing() -> None:
    assert judged([0.9], [0.5], [0.1], True, whole=False)[0]
    assert not judged([0.9], [0.1], [0.1], True, whole=False)[0]


# --- writing --------------------------------------------------------------------------------


def test_in_a_clean_git_tree_no_backup_is_needed(folder: Path, patch: Patch) -> None:
    git(folder)
    assert patches.clean(folder)
    assert patches.write_sources(folder, patch, clean=True) == []
    assert {n: (folder / n).read_bytes() for n in patch.after} == patch.after
    assert not patches.clean(folder)


def test_elsewhere_a_backup_is_written_beside_the_file(folder: Path, patch: Patch) -> None:
    (folder / "train.py.orig").write_text("older")
    assert not patches.clean(folder)
    kept = patches.write_sources(folder, patch, clean=False)
    assert {p.name for p in kept} == {"train.py.orig2", "more.py.orig"}
    assert all(p.read_bytes() == SOURCE for p in kept)
    assert (folder / "train.py.orig").read_text() == "older"


def test_a_source_that_has_changed_is_left_alone(folder: Path, patch: Patch) -> None:
    (folder / "train.py").write_bytes(SOURCE + b"# mine\n")
    before = texts(folder)
    with pytest.raises(CannotPatch, match=r"'train\.py' has changed since .* command again"):
        patches.write_sources(folder, patch, clean=False)
    assert texts(folder) == before
    (folder / "train.py").unlink()
    with pytest.raises(CannotPatch, match="has changed since"):
        patches.unchanged(folder, patch)


def test_a_file_or_folder_that_cannot_be_written(
    folder: Path, patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write what is read-only, so the answer is put in the system's mouth."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "train.py")
    before = texts(folder)
    with pytest.raises(CannotPatch, match=r"'train\.py' or its folder cannot be written; nothing"):
        patches.write_sources(folder, patch, clean=False)
    assert texts(folder) == before


def test_a_disk_that_fills_up_in_between(
    folder: Path, patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = writing.replacing, [0]

    @contextlib.contextmanager
    def failing(target: Path) -> Iterator[str]:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(28, "No space left on device")
        with real(target) as name:
            yield name

    monkeypatch.setattr(writing, "replacing", failing)
    before = texts(folder)
    with pytest.raises(CannotPatch, match="No space left on device; nothing was changed"):
        patches.write_sources(folder, patch, clean=False)
    assert texts(folder) == before and calls[0] == 2


def test_a_diff_says_what_it_is_and_is_written_over_by_the_next(
    folder: Path, patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    target = folder / "fix.diff"
    patches.write_diff(target, patch)
    patches.write_diff(target, patch)
    assert target.read_text().startswith("Evenflow patch: lr=x0.1\n--- a/more.py\n")
    git(folder)
    subprocess.run(["git", "apply", "fix.diff"], check=True)
    assert (folder / "train.py").read_bytes() == patch.after["train.py"]
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(writing.NotWritten, match="no report of ours"):
        patches.write_diff(folder / "mine.txt", patch)
    with pytest.raises(writing.NotWritten, match="not written over"):
        patches.write_diff(folder / "train.py", patch)


def test_the_command_that_applies_it(folder: Path) -> None:
    assert patches.apply_command(folder / "fix.diff", folder) == "patch -p1 < fix.diff"
    git(folder)
    assert patches.apply_command(folder / "a b.diff", folder) == "git apply 'a b.diff'"


def test_a_long_diff_is_shown_in_part(patch: Patch) -> None:
    source = b"import torch\n" + b"opt = torch.optim.SGD(net.parameters(), lr=0.5)\n" * 60
    found = patched({"train.py": source}, "lr=x0.1", KnownTraining())
    out = io.StringIO()
    patches.show(found, Console(file=out, width=100))
    lines = out.getvalue().splitlines()
    assert len(lines) == patches.SHOWN + 1 and lines[-1].endswith("more lines")


# --- without LibCST ---------------------------------------------------------------------------

ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "libcst":
            raise ModuleNotFoundError("No module named 'libcst'", name="libcst")
sys.meta_path.insert(0, Absent())
from evenflow.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_libcst_the_extra_is_named_before_anything_runs(folder: Path) -> None:
    command = [sys.executable, "-c", ABSENT, "cure", "--patch", "fix.diff", "train.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("evenflow cure: ") and 'pip install "evenflow[patch]"' in line
    assert set(texts(folder)) == {"train.py", "more.py"}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("# Größe\n".encode("latin-1"), "is not in the encoding it should be"),
        (b"%matplotlib inline\n", "this is no Python that LibCST"),
    ],
)
def test_what_cannot_be_edited_is_told_before_anything_runs(
    raw: bytes, said: str, folder: Path
) -> None:
    (folder / "train.py").write_bytes(raw)
    command = [sys.executable, "-m", "evenflow", "cure", "--write", "train.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and said in line
    assert texts(folder) == {"train.py": raw, "more.py": SOURCE}
