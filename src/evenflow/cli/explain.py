"""`evenflow explain`: a stored run's ledger."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..lang import _, sentences, whole
from ..showing import visible
from . import writing
from .guarding import guarded
from .runs import CannotJudge, find_run, load_run


def explain_run(
    named: str | None,
    site: str | None,
    step: int | None,
    as_json: bool,
    output: str | None,
    force: bool = False,
) -> int:
    """0; 2 for a wrong site, step or file to write; 3 where there is no run to read."""
    try:
        path = find_run(named)
        with guarded(path):
            return _explain(path, site, step, as_json, output, force)
    except CannotJudge as error:
        return say(error, 3)


def _explain(
    path: Path, site: str | None, step: int | None, as_json: bool, output: str | None, force: bool
) -> int:
    from ..ledger import from_run, text
    from ..report import damage

    run = load_run(path)
    left_out = damage(run)
    try:
        ledger = from_run(run, site, step)
    except ValueError as error:
        line = sentences(filter(None, (str(error), left_out)))
        asked = site is not None or step is not None
        return say(line, 2 if asked and len(run.steps) else 3)
    if left_out:
        say(left_out, 0)
    if output not in (None, "-") and Path(output).suffix.lower() not in (".html", ".htm"):
        line = _("{path!r}: a ledger is written as one HTML file, picture included; name it .html.")
        return say(line.format(path=output), 2)
    if output is not None:
        from .. import report

        page = report.ledger_html(ledger)
        if output == "-":
            sys.stdout.write(page)
        else:
            try:
                writing.write(Path(output), page, [path], force)
            except writing.NotWritten as error:
                return say(error, 2)
            print(_("wrote {file}").format(file=visible(output)), file=sys.stderr)
    if as_json:
        from ..report import finite

        told = finite(ledger.as_dict())
        print(json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False))
    elif output is None:
        from ..report import writable

        head = _("{name}, step {step}").format(name=run.name, step=whole(ledger.step or 0))
        line = f"evenflow  {head}\n{text(ledger)}"
        print(writable(line, sys.stdout.encoding or "utf-8"))
    return 0


def say(what: object, code: int) -> int:
    """Say it on stderr; the code."""
    print(f"evenflow explain: {visible(str(what))}", file=sys.stderr)
    return code
