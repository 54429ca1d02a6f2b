"""`evenflow fit`: from a table to a model folder with a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..lang import _
from ..showing import listed, shown
from .progressing import Progress

#: Groups of columns that are told; the report lists every column.
GROUPS = 24


def fit_table(
    data: Path,
    target: str,
    out: Path | None,
    task: str,
    folds: int,
    options: dict[str, Any],
    seed: int,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> int:
    """0: a model was written; 2: the data or an option make no sense, and nothing was written."""
    try:
        from ..fit import fit_file
    except ImportError as error:
        text = _("it needs scikit-learn, pandas and more: pip install 'evenflow[fit]' ({error})")
        return _say(text.format(error=error))
    folder = out if out is not None else Path(f"{data.stem}-model")
    wishes = {"drop": drop, "keep": keep, "kinds": kinds}
    try:
        with Progress() as progress:
            result = fit_file(
                data, target, folder, wishes=wishes, task=task, folds=folds, options=options,
                seed=seed, tell=progress.job,
            )  # fmt: skip
    except ValueError as error:
        return _say(str(error))
    except ImportError as error:
        text = _("{module} is missing: pip install 'evenflow[fit]'")
        return _say(text.format(module=error.name))
    except OSError as error:
        text = _("cannot write {path}: {error}.")
        return _say(text.format(path=shown(folder), error=error.strerror or error))
    lines = [_("warning: {what}").format(what=what) for what in result.warnings]
    lines += [*result.notes, *_columns(result.columns), *str(result.report).splitlines()]
    for name, value in result.judged.metrics.items():
        spread = result.judged.spread.get(name)
        lines.append(f"{name}: {value:.4g}" + (f" ± {spread:.2g}" if spread is not None else ""))
    lines.append(_("wrote {folder}, with report.html").format(folder=shown(folder)[1:-1]))
    print("\n".join(lines), file=sys.stderr)
    return 0


def _columns(columns: Sequence[Any]) -> list[str]:
    """What was done with the columns, those of one kind and reason in one line."""
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for c in columns:
        groups.setdefault((c.used, c.kind, c.why), []).append(c.name)
    read = sum(c.used for c in columns)
    lines = [_("Columns: {read} of {all} are read.").format(read=read, all=len(columns))]
    for (used, __, why), names in list(groups.items())[:GROUPS]:
        text = _("  {names}: {why}") if used else _("  {names}: left out: {why}")
        lines.append(text.format(names=listed(names), why=why))
    if len(groups) > GROUPS:
        lines.append(_("  ... and more, all in report.html"))
    return lines


def _say(what: str) -> int:
    print(f"evenflow fit: {what}", file=sys.stderr)
    return 2
