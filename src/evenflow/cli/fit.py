"""`evenflow fit`: from a table to a model folder with a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..lang import _
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
        from ..fit import fitting, reading, table
        from ..fit.keeping import save
        from ..fit.saying import shown
    except ImportError as error:
        said = _("it needs scikit-learn, pandas and more: pip install 'evenflow[fit]' ({error})")
        return _say(said.format(error=error))
    folder = out if out is not None else Path(f"{data.stem}-model")
    try:
        frame = reading.read(data)
        found = table.checked(frame, target, task, _wishes(frame, drop, keep, kinds))
        with Progress() as progress:
            result = fitting.fitted(found, folds, options, seed, progress.job)
        from ..fit.page import page

        report = result.model.fit_report_
        notes = [*frame.attrs["read"], *result.notes]
        facts = {"target": target, "task": found.task, "metrics": result.judged.metrics,
                 "warnings": list(result.warnings), "options": options}  # fmt: skip
        shows = page(
            f"{data.name}: {target}", report, result.judged, notes, result.columns, result.warnings
        )
        save(folder, result.model, result.encoder, facts, shows)
    except ValueError as error:
        return _say(str(error))
    except ImportError as error:
        said = _("{module} is missing: pip install 'evenflow[fit]'")
        return _say(said.format(module=error.name))
    except OSError as error:
        said = _("cannot write {path}: {error}.")
        return _say(said.format(path=shown(folder), error=error.strerror or error))
    lines = [_("warning: {what}").format(what=what) for what in result.warnings]
    lines += [*notes, *_columns(result.columns), *str(report).splitlines()]
    for name, value in result.judged.metrics.items():
        spread = result.judged.spread.get(name)
        lines.append(f"{name}: {value:.4g}" + (f" ± {spread:.2g}" if spread is not None else ""))
    lines.append(_("wrote {folder}, with report.html").format(folder=shown(folder)[1:-1]))
    print("\n".join(lines), file=sys.stderr)
    return 0


def _wishes(frame: Any, drop: Sequence[str], keep: Sequence[str], kinds: Sequence[str]) -> Any:
    """What is said of columns by options: names between commas, COL=KIND. BadData for neither."""
    from ..fit.columns import KINDS, Wishes
    from ..fit.reading import BadData
    from ..fit.saying import shown

    known = set(frame.columns)

    def names(given: Sequence[str]) -> tuple[str, ...]:
        """A name may hold a comma itself."""
        found: list[str] = []
        for text in given:
            found += [text] if text in known else [n.strip() for n in text.split(",") if n.strip()]
        return tuple(found)

    wanted: dict[str, str] = {}
    for text in kinds:
        pairs = [text] if text.rpartition("=")[0] in known else text.split(",")
        for pair in pairs:
            name, equals, kind = pair.strip().rpartition("=")
            if not equals or kind not in KINDS:
                said = _("--kind {pair}: give COL=KIND, where KIND is one of {kinds}.")
                raise BadData(said.format(pair=shown(pair), kinds=", ".join(KINDS)))
            wanted[name] = kind
    return Wishes(names(drop), names(keep), wanted)


def _columns(columns: Sequence[Any]) -> list[str]:
    """What was done with the columns, those of one kind and reason in one line."""
    from ..fit.saying import listed

    groups: dict[tuple[bool, str, str], list[str]] = {}
    for c in columns:
        groups.setdefault((c.used, c.kind, c.why), []).append(c.name)
    read = sum(c.used for c in columns)
    lines = [_("Columns: {read} of {all} are read.").format(read=read, all=len(columns))]
    for (used, __, why), names in list(groups.items())[:GROUPS]:
        said = _("  {names}: {why}") if used else _("  {names}: left out: {why}")
        lines.append(said.format(names=listed(names), why=why))
    if len(groups) > GROUPS:
        lines.append(_("  ... and more, all in report.html"))
    return lines


def _say(what: str) -> int:
    print(f"evenflow fit: {what}", file=sys.stderr)
    return 2
