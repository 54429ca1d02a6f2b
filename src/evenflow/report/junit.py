"""JUnit XML, which CI servers show as tests: a test a rule, failed where it found an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from ..faults import REGISTRY, Asked
from ..lang import _
from ..schema import Finding, Run, Severity
from ..words import line, title, what_happened, with_messages
from .located import first_line, path_from


def as_junit(run: Run, findings: Sequence[Finding], root: Path, asked: Asked | None = None) -> str:
    """A test suite: each rule that was asked is a test; one that found an error has failed.

    Warnings and notes fail no test, as `evenflow check` passes with them; they stand in its output.
    Of a run that could not be judged every test is skipped. Files are named from `root`.
    """
    spoken = with_messages(findings, run)
    codes = list(REGISTRY) if asked is None else list(asked.codes)
    codes += [f.code for f in spoken if f.code not in codes]
    failed = {f.code for f in spoken if f.severity is Severity.error}
    skipped = [] if not run.unjudged else [c for c in codes if c not in failed]
    suite = ElementTree.Element(
        "testsuite",
        name="evenflow",
        tests=str(len(codes)),
        failures=str(len(failed)),
        errors="0",
        skipped=str(len(skipped)),
        time="0",
    )
    for code in codes:
        found = [f for f in spoken if f.code == code]
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"evenflow.{run.name}", name=_name(code), time="0"
        )
        errors = [f for f in found if f.severity is Severity.error]
        if errors:
            text = "\n".join(_told(run, f, root) for f in errors)
            said = what_happened(errors[0], run)
            ElementTree.SubElement(case, "failure", message=said, type=code).text = text
        elif code in skipped:
            why = _("the run could not be judged")
            ElementTree.SubElement(case, "skipped", message=why, type="unjudged")
        rest = [f for f in found if f.severity is not Severity.error]
        if rest:
            text = "\n".join(_told(run, f, root) for f in rest)
            ElementTree.SubElement(case, "system-out").text = text
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(whole, "unicode")


def _name(code: str) -> str:
    return f"{code} {title(code)}" if code in REGISTRY else code


def _told(run: Run, finding: Finding, root: Path) -> str:
    where = first_line(finding)
    at = "" if where is None else f"{path_from(run, where, root)}:{where.line}: "
    rest = [line(w) for w in finding.where if w is not where]
    return "\n".join([f"{at}{finding.message}", *rest])
