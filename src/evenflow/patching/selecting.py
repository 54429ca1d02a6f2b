"""Code that picks modules out of a model: by a rule where one gives just these, else by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..lang import _
from ..treatments import KnownLayer, KnownModel
from .patch import Unfit

#: Classes whose weights edits know how to draw and to normalise.
LAYERS = ("Linear", "Conv1d", "Conv2d", "Conv3d")
#: Subclasses that `isinstance` takes for one of them.
_SAME = {"NonDynamicallyQuantizableLinear": "Linear"}


def owned(layers: Sequence[KnownLayer]) -> list[KnownLayer]:
    """The same layers. Unfit if one is no module of its own of a kind that edits know."""
    for layer in layers:
        if layer.cls not in LAYERS:
            said = _("{op} in {path} uses a weight that is no Linear or Conv layer's own.")
            raise Unfit(said.format(op=layer.op, path=repr(layer.path or "the root")))
    return list(layers)


def modules(view: KnownModel, wanted: Sequence[str]) -> str:
    """An expression for the modules at these paths of `model`, in this order."""
    rule = _rule(view, list(wanted))
    if rule is not None:
        test, cut = rule
        return f"[m for m in model.modules() if {test}]{cut}"
    return f"[model.get_submodule(name) for name in {names(wanted)}]"


def paths(view: KnownModel, wanted: Sequence[str]) -> str:
    """An expression for their names in `model`."""
    rule = _rule(view, list(wanted))
    if rule is not None:
        test, cut = rule
        return f"[n for n, m in model.named_modules() if {test}]{cut}"
    return names(wanted)


def _rule(view: KnownModel, wanted: list[str]) -> tuple[str, str] | None:
    """(test of a module m, slice) if all modules of some classes, but for the ends, are wanted."""
    cls_of = dict(view.modules)
    kinds = {cls_of.get(path, "") for path in wanted}
    if not wanted or not all(k in _TORCHS for k in kinds):
        return None
    said = [f"torch.nn.{k}" for k in sorted(kinds)]
    classes = said[0] if len(said) == 1 else f"({', '.join(said)})"
    every = [path for path, cls in cls_of.items() if _SAME.get(cls, cls) in kinds]
    exact = [path for path, cls in cls_of.items() if cls in kinds]
    equal = f"type(m) is {classes}" if len(said) == 1 else f"type(m) in {classes}"
    for test, found in ((f"isinstance(m, {classes})", every), (equal, exact)):
        cuts = {"": found, "[:-1]": found[:-1], "[1:]": found[1:], "[1:-1]": found[1:-1]}
        for cut, part in cuts.items():
            if part == wanted:
                return test, cut
    return None


#: Classes of torch.nn that a rule may name.
_TORCHS = frozenset(
    (
        *LAYERS,
        *("ReLU", "Sigmoid", "Tanh", "GELU", "SiLU", "ELU", "SELU", "LeakyReLU", "Softplus"),
        *("ReLU6", "Hardtanh", "Mish", "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"),
        "MultiheadAttention",
    )
)


def names(wanted: Sequence[str]) -> str:
    """A list of names as code: a range where they count up, else one after the other."""
    pieces = [re.split(r"(\d+)", w) for w in wanted]
    if len(wanted) >= 4 and len({len(p) for p in pieces}) == 1:
        moving = [k for k in range(len(pieces[0])) if len({p[k] for p in pieces}) > 1]
        if len(moving) == 1 and moving[0] % 2:
            k = moving[0]
            counts = [int(p[k]) for p in pieces]
            by = counts[1] - counts[0]
            if by > 0 and counts == list(range(counts[0], counts[-1] + 1, by)):
                head, tail = "".join(pieces[0][:k]), "".join(pieces[0][k + 1 :])
                span = f"range({counts[0]}, {counts[-1] + 1}{f', {by}' if by > 1 else ''})"
                return f'[f"{head}{{i}}{tail}" for i in {span}]'
    return "[" + ", ".join(f'"{w}"' for w in wanted) + "]"


def each(values: Sequence[str], layers: str = "layers") -> str:
    """An expression for `layer`'s own among values that stand in the order of `layers`."""
    if len(set(values)) == 1:
        return values[0]
    first, last, middle = values[0], values[-1], set(values[1:-1])
    if len(middle) == 1 and first == last:
        return f"{first} if layer in ({layers}[0], {layers}[-1]) else {next(iter(middle))}"
    if len(set(values[1:])) == 1:
        return f"{first} if layer is {layers}[0] else {last}"
    if len(set(values[:-1])) == 1:
        return f"{last} if layer is {layers}[-1] else {first}"
    return f"[{', '.join(values)}][{layers}.index(layer)]"
