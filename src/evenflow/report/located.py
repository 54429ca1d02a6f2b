"""Lines of the script as other programs are told of them: CI, editors, code scanning."""

from __future__ import annotations

from pathlib import Path

from ..schema import Finding, Run, Where


def first_line(finding: Finding) -> Where | None:
    """The user's own line that a finding is about; a notebook's cell is no file."""
    own = (w for w in finding.where if not w.library and not w.file.startswith("cell "))
    return next(own, None)


def path_from(run: Run, where: Where, root: Path) -> str:
    """The file below `root`, with forward slashes; as the run names it where it lies elsewhere."""
    file = Path(str(run.meta.get("folder", "")), where.file)
    for folder, path in ((root, file), (root.resolve(), file.resolve())):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return Path(where.file).as_posix()
