"""Write each rule's page from its docstring: `python tests/faults/rule_pages.py docs/rules`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from evenflow.faults import REGISTRY, Rule

#: File name -> rule.
PAGES: dict[str, type[Rule]] = {f"{r.code}-{r.name}.md": r for r in REGISTRY.values()}

_GROUPS = {
    "EF1": "Gradient",
    "EF2": "Activation",
    "EF3": "Update",
    "EF4": "Loss",
    "EF5": "Data",
    "EF6": "Start",
    "EF7": "Set-up",
    "EF8": "Loop and wiring",
}


def page(rule: type[Rule]) -> str:
    """The rule's page as Markdown, in English."""
    return (
        f"# {rule.code} {rule.name}\n\n"
        f"*{rule.status}, since {rule.since}. Written from the rule's docstring: change it there.*"
        f"\n\n{inspect.getdoc(rule)}\n"
    )


def index() -> str:
    """The list of all rules as Markdown."""
    lines = ["# Rules", "", "One page each; `evenflow rules CODE` prints the same.", ""]
    group = ""
    for name, rule in PAGES.items():
        if rule.code[:3] != group:
            group = rule.code[:3]
            lines += ["", f"## {group} {_GROUPS[group]}", ""]
        headline = (inspect.getdoc(rule) or "").split("\n")[0]
        lines.append(f"- [{rule.code} {rule.name}]({name}): {headline}")
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write every page and the list; pages of rules that are gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: page(rule) for name, rule in PAGES.items()} | {"README.md": index()}
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python tests/faults/rule_pages.py FOLDER")
    write(Path(sys.argv[1]))
