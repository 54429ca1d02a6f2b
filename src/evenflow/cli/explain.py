"""`evenflow explain`: a stored run's ledger, or a lesson."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..lang import _, whole
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
    if output not in (None, "-") and Path(output).suffix.lower() not in (".html", ".htm"):
        said = _("{path!r}: a ledger is written as one HTML file, picture included; name it .html.")
        return _say(said.format(path=output), 2)
    if output is not None:
        from .. import report

        page = report.ledger_html(ledger)
        if output == "-":
            sys.stdout.write(page)
        else:
            try:
                Path(output).write_text(page, encoding="utf-8")
            except OSError as error:
                reason = error.strerror or error
                said = _("cannot write {path!r}: {error}.").format(path=output, error=reason)
                return _say(said, 2)
            print(_("wrote {file}").format(file=output), file=sys.stderr)
    if as_json:
        from ..report.data import finite

        told = finite(ledger.as_dict())
        print(json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False))
    elif output is None:
        from ..report.terminal import writable

        head = _("{name}, step {step}").format(name=run.name, step=whole(ledger.step or 0))
        said = f"evenflow  {head}\n{text(ledger)}"
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
        said = _("--lesson {name} stands alone: leave out {options}.")
        return _say(said.format(name=name, options=", ".join(both)), 2)
    try:
        from .lessons import names, teach
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("evenflow"):
            said = _("the lessons need {module!r}, which is not installed.")
            return _say(said.format(module=error.name), 2)
        return _say(
            _("this Evenflow has no lessons, so none called {name!r}.").format(name=name), 2
        )
    known = list(names())
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, 3)
        if close:
            said = _("there is no lesson {name!r}. Did you mean {close}? There are {known}.")
        else:
            said = _("there is no lesson {name!r}. There are {known}.")
        return _say(said.format(name=name, close=_(" or ").join(close), known=", ".join(known)), 2)
    return int(teach(name) or 0)


def _say(what: object, code: int) -> int:
    print(f"evenflow explain: {what}", file=sys.stderr)
    return code
