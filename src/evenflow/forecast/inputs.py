"""What a model is called with: tensors given, or N(0,1) data and integer ids made to measure.

`parse` reads one `--input`: [NAME=][DTYPE:]SIZE,SIZE,...[<BOUND]

    64,3,32,32              the first positional argument, N(0,1), the model's own dtype
    bfloat16:8,128,64       another dtype
    ids=int:8,128<32000     the keyword argument `ids`, whole numbers from 0 to 31999
    mask=bool:8,128         all true
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_DTYPES = {
    "float": None,
    "float16": torch.float16,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "double": torch.float64,
    "int": torch.int64,
    "int64": torch.int64,
    "int32": torch.int32,
    "bool": torch.bool,
}
_SPEC = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)=)?(?:(?P<dtype>[a-z]+\d*):)?"
    r"(?P<shape>\d+(?:\s*,\s*\d+)*)\s*(?:<(?P<below>\d+))?\s*"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One input to be made.

    Attributes:
        shape: batch first, as a rule. name: of the keyword argument; "" = positional.
        dtype: None = the model's own floating dtype.
        below: integers are drawn from 0 to below - 1; None = only 0 and 1 are known to be safe.
    """

    shape: tuple[int, ...]
    name: str = ""
    dtype: torch.dtype | None = None
    below: int | None = None

    def make(
        self,
        dtype: torch.dtype,
        device: torch.device,
        draw: torch.Generator,
        avoid: Collection[int] = (),
    ) -> Tensor:
        """N(0,1), or whole numbers but those to avoid, or all true; drawn on the CPU so that
        devices agree."""
        kind = self.dtype or dtype
        if kind == torch.bool:
            return torch.ones(self.shape, dtype=kind, device=device)
        if kind.is_floating_point:
            x = torch.randn(self.shape, generator=draw, dtype=torch.float32)
        else:
            below = self.below or 2
            kept = [i for i in range(below) if i not in avoid] if avoid else []
            x = torch.randint(0, len(kept) or below, self.shape, generator=draw)
            if kept:
                x = torch.tensor(kept)[x]
        return x.to(device=device, dtype=kind)


def dtype_named(name: str) -> torch.dtype:
    """The floating dtype of a name.

    Raises:
        ValueError: no floating dtype is called so.

    >>> from evenflow.forecast import dtype_named
    >>> dtype_named("half")
    torch.float16
    """
    found = torch.float32 if name == "float" else _DTYPES.get(name)
    if found is None or not found.is_floating_point:
        known = [n for n, d in _DTYPES.items() if d is not None and d.is_floating_point]
        raise ValueError(f"dtype {name!r} is none of float, {', '.join(known)}")
    return found


def parse_input(text: str) -> Wanted:
    """Read one `--input`.

    Raises:
        ValueError: it is not of the form [NAME=][DTYPE:]SIZE,SIZE,...[<BOUND].

    >>> from evenflow.forecast import parse_input
    >>> wanted = parse_input("ids=int:8,128<32000")
    >>> wanted.name, wanted.shape, wanted.below
    ('ids', (8, 128), 32000)
    """
    found = _SPEC.fullmatch(text)
    how = "write [NAME=][DTYPE:]SIZE,SIZE,...[<BOUND], as in 64,3,32,32 or ids=int:8,128<32000"
    if found is None:
        raise ValueError(f"input {text!r} cannot be read: {how}")
    kind = found["dtype"] or "float"
    if kind not in _DTYPES:
        raise ValueError(f"input {text!r}: dtype {kind!r} is none of {', '.join(_DTYPES)}")
    dtype = _DTYPES[kind]
    shape = tuple(int(n) for n in found["shape"].split(","))
    if 0 in shape:
        raise ValueError(f"input {text!r}: a size is 0; give it at least one of each")
    whole = dtype is not None and not dtype.is_floating_point and dtype != torch.bool
    if found["below"] is not None and not whole:
        raise ValueError(f"input {text!r}: <{found['below']} bounds whole numbers: say int: too")
    if found["below"] is not None and int(found["below"]) < 1:
        raise ValueError(f"input {text!r}: no whole number from 0 is below {found['below']}")
    below = int(found["below"]) if found["below"] is not None else None
    return Wanted(shape, found["name"] or "", dtype, below)


def padding(model: nn.Module) -> frozenset[int]:
    """Ids that stand for no token: an embedding's padding_idx, a configuration's pad_token_id.

    Their row is zero, and a sequence that begins with it gains 1/sqrt(eps) of δ in each RMSNorm.
    """
    ids = [getattr(m, "padding_idx", None) for m in model.modules()]
    ids.append(getattr(getattr(model, "config", None), "pad_token_id", None))
    return frozenset(i for i in ids if type(i) is int)


def like(model: nn.Module) -> tuple[torch.dtype, torch.device]:
    """The floating dtype and the device of a model's parameters."""
    for t in (*model.parameters(), *model.buffers()):
        if t.is_floating_point():
            return t.dtype, t.device
    return torch.get_default_dtype(), torch.device("cpu")


def arrange(
    inputs: Any,
    dtype: torch.dtype,
    device: torch.device,
    seed: int = 0,
    avoid: Collection[int] = (),
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(positional, keyword) arguments of the model's call.

    Args:
        inputs: as `preflight`'s; a `Wanted` is made, and anything else handed on as it is.
        dtype, device: of what is made here.
        avoid: ids that are not drawn (see `padding`).

    Raises:
        ValueError: nothing that can be an input.
    """
    draw = torch.Generator().manual_seed(seed)

    def one(value: Any) -> Any:
        if _is_shape(value):
            value = Wanted(tuple(int(n) for n in value))
        return value.make(dtype, device, draw, avoid) if isinstance(value, Wanted) else value

    if isinstance(inputs, Mapping):
        return (), {str(k): one(v) for k, v in inputs.items()}
    if isinstance(inputs, (Tensor, Wanted)) or _is_shape(inputs):
        inputs = (inputs,)
    if not isinstance(inputs, Sequence) or isinstance(inputs, (str, bytes)) or not len(inputs):
        raise ValueError(
            f"inputs {inputs!r:.80} cannot be used: give a tensor, a shape as (64, 3, 32, 32), "
            "a tuple of them, or a dict of keyword arguments"
        )
    made = [(v.name if isinstance(v, Wanted) else "", one(v)) for v in inputs]
    return tuple(v for n, v in made if not n), {n: v for n, v in made if n}


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) > 0
        and all(type(n) is int and n > 0 for n in value)
    )


def described(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The call's arguments as an error repeats them: "float32 [64, 3], ids=int64 [8, 128]"."""

    def one(v: Any) -> str:
        if not isinstance(v, Tensor):
            return type(v).__name__
        return f"{str(v.dtype).removeprefix('torch.')} {list(v.shape)}"

    return ", ".join([*map(one, args), *(f"{k}={one(v)}" for k, v in kwargs.items())])
