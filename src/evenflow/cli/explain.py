"""`evenflow explain`: a stored run's ledger, or a lesson."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .runs import CannotJudge, find_run, load_run


def explain_run(
    named: str | None, site: str | None, step: int | None, as_json: bool, output: str | None
) -> int:
    """0; 2 for a wrong site, step or file to write; 3 where there is no run to read."""
    try:
        run = load_run(find_run(named))
    except CannotJudge as error:
        return _say(error, 3)
    from ..ledger import from_run, text

    try:
        ledger = from_run(run, site, step)
    except ValueError as error:
        return _say(error, 2 if len(run.steps) else 3)
    if output is not None:
        from .. import report

        page = report.ledger_html(ledger)
        if output == "-":
            sys.stdout.write(page)
        else:
            try:
                Path(output).write_text(page, encoding="utf-8")
            except OSError as error:
                return _say(f"cannot write {output!r}: {error.strerror or error}.", 2)
            print(f"wrote {output}", file=sys.stderr)
    if as_json:
        from ..report.data import finite

        told = finite(ledger.as_dict())
        print(json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False))
    elif output is None:
        from ..report.terminal import writable

        said = f"evenflow  {run.name}, step {ledger.step:,}\n{text(ledger)}"
        print(writable(said, sys.stdout.encoding or "utf-8"))
    return 0


def explain_lesson(
    name: str,
    run: str | None,
    site: str | None,
    step: int | None,
    as_json: bool,
    output: str | None,
) -> int:
    """One of `evenflow.lessons`, told by `evenflow.cli.lessons`."""
    given = {"RUN": run, "--site": site, "--step": step, "--output": output}
    both = [option for option, value in given.items() if value is not None]
    both += ["--json"] * as_json
    if both:
        return _say(f"--lesson {name} stands alone: leave out {', '.join(both)}.", 2)
    try:
        from .lessons import names, teach
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("evenflow"):
            return _say(f"the lessons need {error.name!r}, which is not installed.", 2)
        return _say(f"this Evenflow has no lessons, so none called {name!r}.", 2)
    known = list(names())
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, 3)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        return _say(f"there is no lesson {name!r}. {hint}There are {', '.join(known)}.", 2)
    return int(teach(name) or 0)


def _say(what: object, code: int) -> int:
    print(f"evenflow explain: {what}", file=sys.stderr)
    return code
