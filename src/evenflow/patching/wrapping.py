"""Lines of ours broken where they are too long, as a formatter would break them."""

from __future__ import annotations

import re

#: Widths that formatters are commonly set to; the first is what they do untold.
WIDTHS = (88, 100, 120)
_PAIRS = {")": "(", "]": "[", "}": "{"}


def width_of(text: str) -> int:
    """The width that a file's lines keep to; the usual one where they keep to none."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    widest = max(map(len, lines), default=0)
    return next((w for w in WIDTHS if widest <= w), WIDTHS[0])


def tidy(code: str, width: int) -> str:
    """Code whose lines hold at the width."""
    out = []
    for line in code.split("\n"):
        out += _broken(line, width) if len(line) > width else [line]
    return "\n".join(out)


def _broken(line: str, width: int) -> list[str]:
    bare = line.lstrip()
    indent = line[: len(line) - len(bare)]
    if bare.startswith(('"', "#", "def ", "class ")):
        return [line]
    found = re.search(r"[)\]](?:\[[-\d:]+\])?:?\Z", bare)
    if found is None:
        return [line]
    start = _opener(bare, found.start())
    if start is None:
        return [line]
    head, inner, tail = bare[: start + 1], bare[start + 1 : found.start()], found[0]
    deeper = indent + "    "
    plain = re.search(r"\bfor\b", inner) is None
    literal = head.endswith("[") and plain and len(_items(inner)) > 1  # one item a line
    if len(deeper) + len(inner) <= width and not literal:
        return [indent + head, deeper + inner, indent + tail]
    return [indent + head, *_parts(head, inner, deeper, width), indent + tail]


def _parts(head: str, inner: str, deeper: str, width: int) -> list[str]:
    """What stands between brackets, over several lines."""
    comprehension = re.match(r"(.*?) (for .*?)(?: (if .*))?\Z", inner)
    if head.endswith("[") and comprehension is not None:
        return [deeper + part for part in comprehension.groups() if part]
    arithmetic = re.match(r"(.*\)) ([-+] [\w.]+)\Z", inner)
    if head.endswith(" (") and arithmetic is not None:
        return [deeper + part for part in arithmetic.groups()]
    rows: list[str] = []
    for item in _items(inner):
        rows += tidy(f"{deeper}{item},", width).split("\n")
    return rows


def _items(inner: str) -> list[str]:
    """What commas part at the outermost level."""
    items, depth, start = [], 0, 0
    for k, char in enumerate(inner):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            items.append(inner[start:k].strip())
            start = k + 1
    return [*items, inner[start:].strip()] if inner[start:].strip() else items


def _opener(text: str, closing: int) -> int | None:
    """Where the bracket opens that closes at a place."""
    depth = 0
    for k in range(closing, -1, -1):
        if text[k] in ")]}":
            depth += 1
        elif text[k] in "([{":
            depth -= 1
            if depth == 0:
                return k if _PAIRS[text[closing]] == text[k] else None
    return None
