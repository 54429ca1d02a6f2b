"""What stands beside a scratch copy: the original's neighbours, so that `../data` is found.

A neighbour that is a folder is made anew as a folder whose files are links: what a script adds to
`../results` stays in the scratch, and a file it opens for writing is copied first (`own`, called
by the trial itself). A neighbour with too many files is one link, and that is told: what is
written there reaches the original.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .secrets import is_secret

#: So many entries of all neighbours together are made anew in each scratch copy.
MOST = 4000


class Beside:
    """The neighbours of a folder, read once.

    Attributes:
        notes: neighbours that could not be kept apart, in sentences.
    """

    def __init__(self, folder: Path, left_out: frozenset[str]) -> None:
        self.notes: list[str] = []
        self._folders: list[Path] = []
        self._links: list[Path] = []
        self._home = folder.parent
        room = MOST
        for neighbour in _neighbours(folder):
            inside = None
            plain = neighbour.is_dir() and not neighbour.is_symlink()
            if plain and neighbour.name not in left_out and not is_secret(neighbour.name):
                inside = _walk(neighbour, room)
            if inside is None:
                self._links.append(neighbour)
                if plain and neighbour.name not in left_out:
                    self.notes.append(
                        f"'../{neighbour.name}' holds too much to be made anew for each run: what "
                        "the script writes there is not kept apart"
                    )
                continue
            folders, files = inside
            room -= len(folders) + len(files)
            self._folders += folders
            self._links += files
        self.notes = self.notes[:5]

    def make(self, where: Path) -> None:
        """Put them into `where`, beside the scratch copy that is there already."""
        for folder in self._folders:
            (where / folder.relative_to(self._home)).mkdir(exist_ok=True)
        for path in self._links:
            new = where / path.relative_to(self._home)
            if not os.path.lexists(new):
                os.symlink(path, new)


def own(path: str, scratch: str) -> None:
    """Before a file below `scratch` is written: if it is a link out of it, a copy takes its place.

    Nothing is done for what is not such a link; a link to a folder stays.
    """
    place = os.path.abspath(path)
    if not place.startswith(scratch + os.sep) or not os.path.islink(place):
        return
    aim = os.path.realpath(place)
    if aim.startswith(scratch + os.sep) or os.path.isdir(aim):
        return
    os.unlink(place)
    if os.path.exists(aim):
        shutil.copy2(aim, place)


def _walk(folder: Path, most: int) -> tuple[list[Path], list[Path]] | None:
    """Folders (parents first) and all else below one, itself first; None if there are more."""
    folders, files = [folder], []
    for root, below, names in os.walk(folder):
        here = Path(root)
        linked = {n for n in below if is_secret(n) or (here / n).is_symlink()}
        below[:] = sorted(set(below) - linked)
        folders += [here / n for n in below]
        files += [here / n for n in (*names, *sorted(linked))]
        if len(folders) + len(files) > most:
            return None
    return folders, files


def _neighbours(folder: Path) -> list[Path]:
    if folder.parent == folder:
        return []
    try:
        return sorted(p for p in folder.parent.iterdir() if p != folder)
    except OSError:
        return []
