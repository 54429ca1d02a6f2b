"""`evenflow explain --lesson NAME`: a lesson on stdout; `list` shows which there are."""

from __future__ import annotations

import sys

LIST = "list"


def names() -> tuple[str, ...]:
    """What `--lesson` takes."""
    from ..lessons import REGISTRY

    return (LIST, *REGISTRY)


def teach(name: str) -> int:
    """Run the lesson and print it. 0; 2 for a name that is not in `names()`."""
    from ..lessons import REGISTRY, plain, terminal
    from .judging import stderr, stdout

    if name == LIST:
        widest = max(map(len, REGISTRY))
        for lesson in REGISTRY.values():
            print(f"{lesson.name:<{widest}}  {lesson.title}")
        print("\nOne lesson: evenflow explain --lesson linear-neuron")
        return 0
    if name not in REGISTRY:
        known = ", ".join(names())
        print(f"evenflow explain: there is no lesson {name!r}; there are {known}.", file=sys.stderr)
        return 2
    lesson, console = REGISTRY[name], stderr()
    if console.is_terminal:
        with console.status(f"running {name} ..."):
            result = lesson.run()
    else:
        result = lesson.run()
    width = max(60, min(stdout().width, 100) - 2)
    encoding = sys.stdout.encoding or "utf-8"
    said = terminal(lesson, result, width, unicode=plain("●─", encoding) == "●─")
    print(plain(said, encoding), end="")
    return 0
