"""One fault, told once: the cause with its line, what followed from it, and what to do here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..faults import CAUSES
from ..lang import _
from ..schema import Finding, Run, Severity, Where
from ..words import Network, cause, filled, line, title, what_happened, what_to_do
from .excerpt import excerpt
from .sentences import evidence, severity, when

STYLE = {Severity.error: "bold red", Severity.warning: "bold yellow", Severity.info: "bold blue"}
#: Of one fault at most: lines of the script, consequences.
_LINES, _FOLLOWED = 1, 4


class Said(NamedTuple):
    """A paragraph: pieces of text with rich's style, how far it is indented, and whether it is one
    line that is cut, not broken, where it is too long."""

    parts: tuple[tuple[str, str], ...]
    indent: int = 2
    whole: bool = False

    @property
    def text(self) -> str:
        """Without styles."""
        return "".join(text for text, _style in self.parts)


def told_once(
    run: Run, root: Finding, followed: Sequence[Finding], network: Network | None
) -> Iterator[Said]:
    """A fault in few lines."""
    yield heading(root)
    yield Said(((what_happened(root, run), ""),))
    if root.cause in CAUSES:
        yield Said(((_("Why: {cause}.").format(cause=cause(root.cause)), ""),))
    for where in [w for w in root.where if not w.library][:_LINES]:
        yield from shown(run, where)
    for finding in followed[:_FOLLOWED]:
        said = f"{finding.code} {what_happened(finding, run, numbers=False)}"
        yield Said(((_("then "), "yellow"), (said, "")))
    if len(followed) > _FOLLOWED:
        more = len(followed) - _FOLLOWED
        yield Said(((_("and {count} more that follow from it.").format(count=more), ""),))
    for i, (text, treatment) in enumerate(what_to_do(root, network)):
        by = f" [{treatment}]" if text and treatment else treatment
        yield Said(((_("or: ") if i else _("try: "), "green"), (text, ""), (by, "dim")))


def told_whole(run: Run, finding: Finding, advice: Sequence[str]) -> Iterator[Said]:
    """A finding with all that is known of it."""
    yield heading(finding)
    yield Said(((finding.message, ""),))
    more = [
        _("{label} {value}").format(label=label, value=value)
        for label, value, limit in evidence(finding)
        if not limit
    ]
    if more:
        said = _("also measured: {figures}").format(figures=_(", ").join(more))
        yield Said(((said, "dim"),))
    for where in finding.where:
        yield from shown(run, where)
    for text in advice:
        yield Said(((_("try: "), "green"), (text, "")))
    if finding.treatments:
        yield Said((("treat_: ", "green"), (" | ".join(finding.treatments), "")))


def note(run: Run, finding: Finding) -> Said:
    """What is worth knowing, in one sentence."""
    said = f"{finding.code} {what_happened(finding, run)}"
    return Said(((f"{severity(finding)}  ", STYLE[finding.severity]), (said, "")), 0)


def shown(run: Run, where: Where) -> Iterator[Said]:
    """A line of the script with those around it, and a caret under the call."""
    from rich.cells import cell_len

    yield Said(((line(where), _link(run, where)),))
    rows = excerpt(run, where)
    wide = len(str(rows[-1].number)) if rows else 0
    for row in rows:
        yield Said(((f"  {row.number:>{wide}} │ ", "dim"), (row.text, "")), whole=True)
        if row.end:
            before, call = row.text[: row.begin], row.text[row.begin : row.end]
            bar = f"  {'':>{wide}} │ {' ' * cell_len(before)}"
            yield Said(((bar, "dim"), ("^" * cell_len(call), "bold")), whole=True)


def heading(finding: Finding) -> Said:
    """Severity, code, title and when."""
    return Said(
        (
            (filled(severity(finding) + " ", 8), STYLE[finding.severity]),
            (f"{finding.code} {title(finding.code)}", "bold"),
            (f"  {when(finding)}", "dim"),
        ),
        0,
    )


def _link(run: Run, where: Where) -> str:
    """The style of a place, which a terminal can open where the file is on this machine."""
    file = Path(str(run.meta.get("folder", "")), where.file)
    if not file.is_absolute() or not file.is_file():
        return "bold"
    return f"bold link {file.as_uri()}"
