"""Scratch copies of a working directory: a trial may write, the original never changes.

    original --copied once--> snapshot --small files copied, large ones linked--> scratch 1, 2, ...

Large files are linked to the snapshot and never to the original, so even a script that writes into
one in place cannot reach the user's. Files are cloned (copy on write) where the file system can.
Files that hold keys or passwords (`secrets`) are links to the user's own, never copies. Beside the
copy stand the original's neighbours (`beside`), so that `../data` is found.

A snapshot is gone when the cure that made it ends, however it ends; one that a killed cure left
behind is cleared away by the next (`clear_abandoned`).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from .beside import Beside
from .secrets import is_secret

#: Files from this size on are hard links of the snapshot's in each scratch copy.
LARGE = 4 << 20
#: Never copied: made by tools (ours, too), and no part of a training.
LEFT_OUT = frozenset(
    (
        *("evenflow-cure", "evenflow-runs", ".git", ".hg", ".venv", "venv", "node_modules"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".tox"),
    )
)
_FICLONE = 0x40049409  # ioctl of Linux: share the blocks until one side writes


class FolderSnapshot:
    """One copy of `folder` at `where`, from which scratch copies are made; as a context manager it
    is removed at the end.

    Raises:
        ValueError: the disk cannot hold it.
    """

    def __init__(self, folder: Path, where: Path) -> None:
        self.folder = folder.resolve()
        self.where = where
        found = list(entries(self.folder, where))
        self.beside = Beside(self.folder, LEFT_OUT)
        self.notes = [*_outward(found, self.folder), *self.beside.notes]
        _check_space(self.folder, found, where)
        self.remove()
        try:
            _owner(where).write_text(str(os.getpid()), encoding="utf-8")
            _build(found, self.folder, where, link=False)
        except BaseException:
            self.remove()
            raise
        files = (p for p in entries(where, None) if not p.is_symlink() and p.is_file())
        self._large = {p: _stamp(p) for p in files if p.stat().st_size >= LARGE}

    def copy(self, where: Path) -> Path:
        """A scratch copy below `where`; its root, which has the original's name."""
        shutil.rmtree(where, ignore_errors=True)
        root = where / (self.folder.name or "root")
        _build(entries(self.where, None), self.where, root, link=True, meant=self.folder)
        self.beside.make(where)
        return root

    def __enter__(self) -> FolderSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Nothing of it stays on the disk."""
        shutil.rmtree(self.where, ignore_errors=True)
        _owner(self.where).unlink(missing_ok=True)

    def damaged(self) -> list[str]:
        """Large files of the snapshot that a trial has written into in place; mended here."""
        found = []
        for path, stamp in self._large.items():
            if path.exists() and _stamp(path) == stamp:
                continue
            name = path.relative_to(self.where)
            found.append(str(name))
            path.unlink(missing_ok=True)
            _clone(self.folder / name, path)
            self._large[path] = _stamp(path)
        return found


def clear_abandoned(states: Path) -> None:
    """Remove what cures that were killed left of their copies: snapshots and scratch folders.

    `states` holds a folder a cure; one whose cure still runs is left alone.
    """
    for owner in states.glob("*/snapshot.owner"):
        try:
            pid = int(owner.read_text(encoding="utf-8"))
            os.kill(pid, 0)  # asks only whether it is there
            if pid != os.getpid():
                continue
        except (OSError, ValueError, OverflowError):
            pass
        shutil.rmtree(owner.with_name("snapshot"), ignore_errors=True)
        for left in ("scratch", "tmp"):
            for folder in owner.parent.glob(f"jobs/*/{left}"):
                shutil.rmtree(folder, ignore_errors=True)
        owner.unlink(missing_ok=True)


def _owner(where: Path) -> Path:
    """The file that tells which process a snapshot belongs to."""
    return where.with_name(f"{where.name}.owner")


def translated(argument: str, original: Path, scratch: Path) -> str:
    """An argument that names something inside `original` by its absolute path, for the copy."""
    head, equals, tail = argument.partition("=")
    value = tail if equals and head.startswith("-") else argument
    if not os.path.isabs(value):
        return argument
    path = Path(os.path.normpath(value))
    if not path.is_relative_to(original):
        return argument
    moved = str(scratch / path.relative_to(original))
    return f"{head}={moved}" if value is tail and equals else moved


def entries(folder: Path, avoid: Path | None) -> Iterable[Path]:
    """Everything below a folder, parents first; neither what is left out nor special files."""
    for root, folders, files in os.walk(folder):
        here = Path(root)
        kept = []
        for name in sorted(folders):
            path = here / name
            if name in LEFT_OUT or (avoid is not None and avoid.is_relative_to(path)):
                continue
            if (path / "pyvenv.cfg").exists():
                continue
            kept.append(name)
            yield path
        folders[:] = [n for n in kept if not (here / n).is_symlink() and not is_secret(n)]
        for name in sorted(files):
            path = here / name
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                yield path


def _build(
    found: Iterable[Path], source: Path, target: Path, link: bool, meant: Path | None = None
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in found:
        new = target / path.relative_to(source)
        if is_secret(path.name):
            os.symlink(os.path.realpath(path), new)  # the user's own, in every copy
        elif path.is_symlink():
            os.symlink(_aim(path, source, target, meant or source), new)
        elif path.is_dir():
            new.mkdir(exist_ok=True)
        elif link and path.stat().st_size >= LARGE:
            try:
                os.link(path, new)
            except OSError:  # another file system, or one without hard links
                _clone(path, new)
        else:
            _clone(path, new)


def _aim(path: Path, source: Path, target: Path, meant: Path) -> str:
    """Where a link of the copy leads: into the copy, if the original's leads into the original."""
    aim = os.readlink(path)
    if os.path.isabs(aim):
        for root in (source, meant):
            if Path(aim).is_relative_to(root):
                return str(target / Path(aim).relative_to(root))
        return aim
    leads = Path(os.path.normpath(path.parent / aim))
    if leads.is_relative_to(source):
        return aim
    # Relative and out of the folder: said from where the original stands.
    return str(Path(os.path.normpath(meant / path.relative_to(source).parent / aim)))


def _clone(path: Path, new: Path) -> None:
    """A copy with times and modes; sharing blocks until written, where that can be had."""
    try:
        import fcntl

        with open(path, "rb") as source, open(new, "wb") as target:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        shutil.copystat(path, new)
    except (ImportError, OSError):
        try:
            shutil.copy2(path, new)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ValueError(
                    f"no space left while copying {str(path)!r} for the trials. Free some, run "
                    "where less lies in the folder, or use --in-place."
                ) from None
            raise
    mode = stat.S_IMODE(new.stat().st_mode)
    new.chmod(mode | stat.S_IWUSR)


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def _check_space(folder: Path, found: list[Path], where: Path) -> None:
    copied = (p for p in found if not p.is_symlink() and not is_secret(p.name) and p.is_file())
    needed = sum(p.lstat().st_size for p in copied)
    where.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(where.parent).free
    if needed > 0.8 * free:
        raise ValueError(
            f"a scratch copy of {str(folder)!r} takes {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free at {str(where.parent)!r}. Start `evenflow cure` in a "
            "folder that holds less, or use --in-place to run the trials in the folder itself."
        )


def _outward(found: list[Path], folder: Path) -> list[str]:
    """Links that lead out of the folder: what is written through them is written there."""
    links = [p for p in found if p.is_symlink() and not p.resolve().is_relative_to(folder)]
    named = [str(p.relative_to(folder)) for p in links if p.exists() and p.resolve().is_dir()]
    return [
        f"{name!r} is a link out of the folder: what the script writes there is not kept apart"
        for name in named[:5]
    ]
