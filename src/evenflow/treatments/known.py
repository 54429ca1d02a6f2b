"""What of a model an edit of its script must know, as its first training forward shows. No torch.

Records that cross a process border as JSON; `live.knowing` makes them, `evenflow.patching` reads
them. Paths of modules are relative to the model that is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, NamedTuple


class Spot(NamedTuple):
    """A line of the script's own files: path relative to its folder, line from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class KnownLayer:
    """A layer with a weight, at its first call.

    Attributes:
        path, cls: of the module whose weight it is, if the call is that module's whole work; cls
            "" where it is not.
        op, shape: the call and the size of its weight.
        transposed: the weight's outputs lie in dimension 1.
        bias, hidden: whether it has one, whether other layers follow.
        fed: the activation it reads, "" if none; he: variance gain that He et al. ask for.
        sw2, sb2: weight and bias variance at criticality of what it reads; NaN and `uncritical`
            says why there is none.
        output: shape of its output.
        normable: it feeds an activation and nothing normalises it yet.
        dropped: it reads an activation through no dropout.
        calls: how often its weight is used in one forward.
        then: index of the activation that alone reads it, if it has as many outputs as inputs.
    """

    path: str
    cls: str
    op: str
    shape: tuple[int, ...]
    transposed: bool
    bias: bool
    hidden: bool
    fed: str
    he: float
    sw2: float
    sb2: float
    uncritical: str
    output: tuple[int, ...]
    normable: bool
    dropped: bool
    calls: int
    then: int | None


@dataclass(frozen=True, slots=True)
class KnownActivation:
    """A call of an activation.

    Attributes:
        index: of the call in the forward.
        op: its name; `parameters` its numbers.
        path: the module it lies in; `module`: that module is nothing else, made at `made`.
        cls: the module's class.
        called: the line that called it.
        hidden: between layers, and no gate; what a swap is for.
    """

    index: int
    op: str
    parameters: dict[str, float]
    path: str
    cls: str
    module: bool
    hidden: bool
    called: Spot | None
    made: Spot | None


@dataclass(frozen=True, slots=True)
class KnownAttention:
    """A call of attention: the module that attends, its class, and the size of a head."""

    path: str
    cls: str
    size: int
    called: Spot | None


@dataclass(frozen=True, slots=True)
class KnownInput:
    """The first input of the first batch: number of dimensions, and for `input=` its numbers."""

    dims: int
    floating: bool
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model as one treatment of a course finds it, those before it applied.

    Attributes:
        modules: (path, class) of all, in the order of `named_modules`.
        branches: (path, whether something can be put around it) of what ends each branch.
        recurrent: (path, class) of torch's recurrent layers; cells: how many are unrolled by hand.
        attending: (path of the module, parameter) of the weights in front of attention's scores.
        first, last: the modules that see the data first, and give the output.
        depth: non-linear layers on the longest path.
        dropout, buffers: whether a training forward draws random numbers, or changes buffers.
        tensor: whether it returns one tensor.
    """

    modules: tuple[tuple[str, str], ...]
    layers: tuple[KnownLayer, ...]
    activations: tuple[KnownActivation, ...]
    branches: tuple[tuple[str, bool], ...]
    recurrent: tuple[tuple[str, str], ...]
    cells: int
    attending: tuple[tuple[str, str], ...]
    attention: tuple[KnownAttention, ...]
    input: KnownInput | None
    first: str
    last: str
    depth: int
    dropout: bool
    buffers: bool
    tensor: bool


def known_as_json(record: Any) -> Any:
    """Plain JSON types of a record and all it holds.

    >>> from evenflow.treatments import Spot, known_as_json
    >>> known_as_json((Spot("train.py", 3),))
    [['train.py', 3]]
    """
    if is_dataclass(record) and not isinstance(record, type):
        return {k: known_as_json(v) for k, v in asdict(record).items()}
    if isinstance(record, Mapping):
        return {k: known_as_json(v) for k, v in record.items()}
    if isinstance(record, (tuple, list)):
        return [known_as_json(v) for v in record]
    return record


def known_model(plain: Mapping[str, Any]) -> KnownModel:
    """Inverse of `known_as_json`. KeyError or TypeError for what is no such record."""

    def many(cls: Any, name: str, *spots: str) -> tuple[Any, ...]:
        return tuple(_made(cls, each, *spots) for each in plain[name])

    names = ("modules", "branches", "recurrent", "attending")
    pairs = {k: tuple(map(tuple, plain[k])) for k in names}
    given: dict[str, Any] = {f.name: plain[f.name] for f in fields(KnownModel)} | pairs
    given["layers"] = many(KnownLayer, "layers")
    given["activations"] = many(KnownActivation, "activations", "called", "made")
    given["attention"] = many(KnownAttention, "attention", "called")
    given["input"] = None if plain["input"] is None else _made(KnownInput, plain["input"])
    return KnownModel(**given)


def _made(cls: Any, plain: Mapping[str, Any], *spots: str) -> Any:
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
    given |= {k: Spot(*given[k]) for k in spots if given[k] is not None}
    return cls(**given)
