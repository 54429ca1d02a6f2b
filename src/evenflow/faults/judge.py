"""Judge a run by every selected rule, then link what they found into chains."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from ..schema import Finding, Run
from .base import Rule
from .chains import link
from .registry import REGISTRY
from .select import select_codes
from .view import View
from .whereabouts import with_lines


def judge(
    run: Run,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    *,
    rules: Iterable[type[Rule]] | None = None,
    on_error: Callable[[str, Exception], None] | None = None,
) -> list[Finding]:
    """What is wrong with a run, worst first, roots before what they caused, then by code.

    Args:
        run: a measured or predicted run.
        select: codes or prefixes ("EF1", "EF101"); empty = every rule.
        ignore: codes or prefixes to leave out.
        rules: judge by these instead of the registry (tests, plug-ins).
        on_error: called with a rule's code and its exception; the other rules go on. Without it
            the exception is dropped. With EVENFLOW_STRICT=1 it is raised.

    Raises:
        ValueError: a prefix that no code begins with.
    """
    known = REGISTRY if rules is None else {r.code: r for r in rules}
    codes = select_codes(tuple(known), select, ignore)
    view = View(run)
    found: list[Finding] = []
    for code, rule in known.items():
        # Causes need all the evidence: rules that were not asked for still speak to `link`.
        try:
            found.extend(rule().check(view))
        except Exception as error:  # a broken rule must not silence the others
            if os.environ.get("EVENFLOW_STRICT") == "1":
                raise
            if on_error is not None:
                on_error(code, error)
    rules_of = {**REGISTRY, **known}
    return with_lines([f for f in link(found, rules_of) if f.code in codes], run, rules_of)
