"""What the forward of a run is heard to do: losses with their targets, cuts, outputs of ops."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from .changing import widened

#: Loss function -> its kind.
KINDS: dict[Any, str] = {
    F.cross_entropy: "classes",
    F.nll_loss: "classes",
    F.binary_cross_entropy: "flags",
    F.binary_cross_entropy_with_logits: "flags",
    F.mse_loss: "squared",
    F.l1_loss: "absolute",
    F.smooth_l1_loss: "absolute",
    F.huber_loss: "absolute",
}
_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, torch.dropout)
#: Operations a gradient does not pass; "straight" ones are rounded on purpose as a rule.
_CUTS: dict[Any, str] = {
    Tensor.detach: "detach",
    torch.detach: "detach",
    Tensor.round: "round",
    torch.round: "round",
    Tensor.floor: "round",
    torch.floor: "round",
    Tensor.sign: "round",
    torch.sign: "round",
    Tensor.argmax: "argmax",
    torch.argmax: "argmax",
    Tensor.item: "item",
    Tensor.tolist: "item",
    Tensor.numpy: "item",
    Tensor.data.__get__: "data",  # type: ignore[attr-defined]
    torch.tensor: "anew",
}
_MINUS = (Tensor.sub, Tensor.__sub__, Tensor.__rsub__, torch.sub, torch.subtract)
#: Another look at the same values: whoever reads what they give reads the input.
_LOOKS = frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "permute",
        "transpose",
        "unsqueeze",
        "squeeze",
        "t",
        "to",
        "float",
        "double",
        "contiguous",
        "clone",
        "chunk",
        "split",
        "__getitem__",
    ]
)
_NARROW = (torch.float32, torch.float16, torch.bfloat16)
_WIDE: dict[Any, Any] = dict.fromkeys((Tensor.float, Tensor.half, Tensor.bfloat16), Tensor.double)
#: Operations that choose.
_ROUTES = frozenset(["topk", "argmax", "argsort", "sort", "max", "multinomial", "one_hot"])
#: Operations whose outputs a run notes at most.
MOST_OPS = 4000


class Listening(TorchFunctionMode):
    """Hears the operations of a forward; open from the root's call until the loss is known.

    Attributes:
        loss: {"kind", "value", "reduction", "output": shape, "target": shape}, of the last one.
        target: what that loss function was given.
        cuts: how often each kind of cut was heard while gradients were on; "no_grad": operations
            on parameters' outputs while they were off.
        broadcast: shapes of output and target, where a difference of them is larger than both.
        readers: names of the operations that the inputs as they are were given to, and of
            normalisations right behind these.
        ops: (name, digest) of each output.
        embedded: output of the first embedding.
        routed: something was chosen by its score, as experts are.
        batch_norm: a normalisation by the batch that keeps no running statistics was heard.
    """

    def __init__(self, ops: bool = False, calm: bool = False, double: bool = False) -> None:
        super().__init__()
        self.noting, self.calm, self.double = ops, calm, double
        self.loss: dict[str, Any] = {}
        self.target: Any = None
        self.cuts: dict[str, int] = {}
        self.broadcast: list[list[int]] = []
        self.readers: set[str] = set()
        self.batch_norm = self.routed = False
        self._off = False
        self.ops: list[tuple[str, int]] = []
        self._given: dict[int, Tensor] = {}
        self._first: dict[int, Tensor] = {}  # outputs of readers
        self._wanted: set[int] = set()
        self.embedded: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if self.calm:
            _still(func, kwargs)
        if self.double:
            func, args, kwargs = _wide(func, args, kwargs)
        cut = self._cut(func, args)  # before: an edit changes what it is given
        with _precise() if self.double else nullcontext():
            out = func(*args, **kwargs)
        if cut:
            self.cuts[cut] = self.cuts.get(cut, 0) + 1
        if func in KINDS:
            self._lost(func, args, kwargs, out)
        elif func in _MINUS:
            self._minus(args, out)
        self._read(func, args, kwargs, out)
        if func is F.batch_norm and args[1:2] in ((), (None,)) and not kwargs.get("running_mean"):
            self.batch_norm = True
        if func is F.embedding and self.embedded is None and out.requires_grad:
            self.embedded = out
        self.routed |= getattr(func, "__name__", "") in _ROUTES
        if self.noting and isinstance(out, Tensor) and len(self.ops) < MOST_OPS:
            self.ops.append((getattr(func, "__name__", str(func)), digest(out)))
        return out

    def given(self, inputs: Any, targets: Any) -> None:
        """Which tensors a step is given."""
        self._given = {id(t): t for t in tree_leaves(inputs) if isinstance(t, Tensor)}
        self._first = {}
        tensors = [t for t in tree_leaves(targets) if isinstance(t, Tensor) and t.numel()]
        self._wanted = {t.data_ptr() for t in tensors}

    def _cut(self, func: Callable[..., Any], args: Any) -> str:
        """What a gradient does not pass here; "edited": values of the graph are overwritten."""
        name = getattr(func, "__name__", "")
        if name == "_set_grad_enabled":
            self._off = not args[0]
        first = args[0] if args and isinstance(args[0], Tensor) else None
        made = first is not None and first.grad_fn is not None
        if not torch.is_grad_enabled():
            if not self._off:  # the forward of a custom function: nobody asked for it
                return ""
            inplace = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
            return "edited" if made and inplace else "no_grad"
        kind = _CUTS.get(func, "")
        return kind if made or kind == "anew" else ""

    def _minus(self, args: Any, out: Any) -> None:
        pair = [t for t in args[:2] if isinstance(t, Tensor)]
        larger = len(pair) == 2 and out.numel() > max(t.numel() for t in pair)
        if larger and any(t.numel() and t.data_ptr() in self._wanted for t in pair):
            self.broadcast = [list(t.shape) for t in pair]

    def _read(self, func: Callable[..., Any], args: Any, kwargs: Any, out: Any) -> None:
        if not self._given:
            return
        name = getattr(func, "__name__", "")
        leaves = tree_leaves((args, kwargs))
        if "norm" in name and any(id(t) in self._first for t in leaves):
            self.readers.add(name)
        if name == "__get__" or not any(id(t) in self._given for t in leaves):
            return
        if name in _LOOKS:
            self._given |= {id(t): t for t in tree_leaves(out) if isinstance(t, Tensor)}
        else:
            self.readers.add(name)
            self._first |= {id(t): t for t in tree_leaves(out) if isinstance(t, Tensor)}

    def _lost(self, func: Callable[..., Any], args: Any, kwargs: Any, out: Tensor) -> None:
        given = sides(args, kwargs)
        if len(given) < 2 or not all(isinstance(t, Tensor) for t in given):
            return
        self.target = given[1]
        value = float(out.detach().double().sum())
        if kwargs.get("reduction") == "none":
            value /= max(out.numel(), 1)
        self.loss = {
            "value": value,
            "kind": KINDS[func],
            "reduction": str(kwargs.get("reduction", "mean")),
            "output": list(given[0].shape),
            "target": list(given[1].shape),
        }


def sides(args: Any, kwargs: Any) -> list[Any]:
    """What a loss function was given as its output and its target, as far as it was."""
    return [*args[:2], *(kwargs[k] for k in ("input", "target") if k in kwargs)][:2]


def digest(out: Tensor) -> int:
    """A number that another bit changes."""
    if out.device.type == "meta" or not out.numel() or out.is_sparse:
        return 0
    with torch._C.DisableTorchFunction():
        # a clone: one element may lie at any stride
        plain = out.detach().resolve_conj().cpu().clone(memory_format=torch.contiguous_format)
        plain = plain.reshape(-1).view(torch.uint8)
        return zlib.crc32(plain.numpy().tobytes())


def _precise() -> AbstractContextManager[Any]:
    """Without autocast, where it is on."""
    on = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
    return torch.autocast(on[0], enabled=False) if on else nullcontext()


def _wide(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """The same call in float64: what asks for another floating type gets it all the same."""
    if func in KINDS:
        args, kwargs = widened(args), widened(kwargs)
    wide: Any = lambda v: torch.float64 if isinstance(v, torch.dtype) and v in _NARROW else v  # noqa: E731
    return _WIDE.get(func, func), tuple(map(wide, args)), {k: wide(v) for k, v in kwargs.items()}


def _still(func: Callable[..., Any], kwargs: dict[str, Any]) -> None:
    """Dropout that a function is asked for by keyword is off."""
    if func in _DROPOUTS or func is F.multi_head_attention_forward:
        kwargs["training"] = False
    elif func is F.scaled_dot_product_attention and "dropout_p" in kwargs:
        kwargs["dropout_p"] = 0.0
