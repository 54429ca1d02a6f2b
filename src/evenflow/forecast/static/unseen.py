"""A weight that is not stored: it has a shape and a law, and shows only what it does to a signal.

To the network it is an ordinary parameter on the CPU; autograd's products with it and with its
transpose go to its `Source`. While the model is built, initialisation code works on the law.
An op that needs the elements themselves (a convolution, a fused LSTM) gets them: the weight is
drawn and stored then, up to `source.STORE_LIMIT` elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from . import law
from .source import Random, Source

aten = torch.ops.aten


class UnseenWeight(Tensor):
    """A view of a `Source`: the weight, or its transpose. Made by `build`, not by hand."""

    source: Source
    transposed: bool

    @staticmethod
    def __new__(
        cls: type[UnseenWeight],
        source: Source,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        transposed: bool = False,
    ) -> UnseenWeight:
        cpu = torch.device("cpu")
        self: UnseenWeight = Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=cpu)
        self.source, self.transposed = source, transposed
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"UnseenWeight(shape={tuple(self.shape)}, dtype={self.dtype})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*args, **(kwargs or {}))
        if type(out) is not Tensor or not torch.is_grad_enabled() or out.requires_grad:
            return out
        learned = any(
            isinstance(a, UnseenWeight) and a.source.frozen and a.source.trainable
            for a in tree_leaves((args, kwargs or {}))
        )
        if learned and out.is_floating_point() and out.dim():  # a norm is for reading
            anchor = torch.zeros((), requires_grad=True)
            out = _Learned.apply(out, anchor)  # type: ignore[no-untyped-call]
        return out

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        kwargs = kwargs or {}
        one = next(a for a in tree_leaves((*args, *kwargs.values())) if isinstance(a, UnseenWeight))
        handler = _VIEWS.get(func)
        if handler is None:
            handler = _RUNNING.get(func) if one.source.frozen else _BUILDING.get(func)
        result = NotImplemented
        if handler is not None:
            result = handler(*args, **kwargs)
        if result is NotImplemented and not one.source.frozen:
            result = _on_law(one, func, args, kwargs)
        if result is NotImplemented:
            result = _on_elements(func, args, kwargs)
        return result

    def like(self, shape: tuple[int, ...] | None = None, flip: bool = False) -> UnseenWeight:
        """Another view of the same source."""
        shape = tuple(self.shape) if shape is None else shape
        return UnseenWeight(self.source, shape, self.dtype, self.transposed != flip)


class _Learned(torch.autograd.Function):
    """What was made of an unseen weight alone (rows of a table), with a place in autograd's graph:
    the gradient gets here, and no gradient as large as the weight is made."""

    @staticmethod
    def forward(ctx: Any, made: Tensor, anchor: Tensor) -> Tensor:
        return made.view_as(made)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, None


def _elements(w: UnseenWeight, why: str) -> Tensor:
    x = w.source.stored(why).to(w.dtype)
    return x.mT if w.transposed else x.view(w.shape)


def _on_elements(func: Any, args: Any, kwargs: Any) -> Any:
    """The op itself, with stored weights in place of unseen ones."""

    def seen(a: Any) -> Any:
        return _elements(a, func.__name__) if isinstance(a, UnseenWeight) else a

    return func(*tree_map(seen, args), **tree_map(seen, kwargs))


def _on_law(one: UnseenWeight, func: Any, args: Any, kwargs: Any) -> Any:
    """An op of initialisation code, done to the values of the law; elementwise ops only."""
    if torch.Tag.pointwise not in func.tags and func not in _SUMMARIES:
        return NotImplemented
    source = one.source

    def values(a: Any) -> Any:
        if isinstance(a, UnseenWeight):
            return a.source.values
        if isinstance(a, Tensor) and a.dim():  # a vector that scales rows: some of its elements
            pick = torch.randint(a.numel(), (len(source.values),), generator=source.random.laws)
            return a.detach().flatten()[pick].to(a.dtype)
        return a

    result = func(*tree_map(values, args), **tree_map(values, kwargs))
    if func in _SUMMARIES:
        return result
    elements = one.source.known()
    alone = not any(isinstance(a, Tensor) and a is not one for a in tree_leaves((args, kwargs)))
    given = None
    if elements is not None and alone:
        given = func(elements, *args[1:], **kwargs)
    if func._schema.is_mutable:
        if given is None:
            one.source.drawn_anew()
        return args[0]
    made = Source(tuple(one.shape), result, source.random)
    made.orthogonal, made.given = source.orthogonal, given
    return UnseenWeight(
        made, tuple(one.shape), result.dtype if result.dtype == torch.bool else one.dtype
    )


# -- views, at any time --------------------------------------------------------------------------
def _view(w: UnseenWeight, shape: Any) -> Any:
    sizes = list(shape)
    if -1 in sizes:
        known = -torch.Size(sizes).numel()
        sizes[sizes.index(-1)] = w.numel() // known
    return w.like() if tuple(sizes) == tuple(w.shape) else NotImplemented


def _transpose(w: UnseenWeight, *axes: Any) -> Any:
    if w.dim() != 2 or (axes and sorted(a % 2 for a in axes) != [0, 1]):
        return NotImplemented
    return w.like((w.shape[1], w.shape[0]), flip=True)


def _permute(w: UnseenWeight, axes: Any) -> Any:
    axes = [a % w.dim() for a in axes]
    if axes == list(range(w.dim())):
        return w.like()
    return _transpose(w) if axes == [1, 0] else NotImplemented


def _copy_to(w: UnseenWeight, *_: Any, dtype: torch.dtype | None = None, **__: Any) -> UnseenWeight:
    return UnseenWeight(w.source, tuple(w.shape), dtype or w.dtype, w.transposed)


# -- while the model is built --------------------------------------------------------------------
def _normal_(w: UnseenWeight, mean: float = 0.0, std: float = 1.0, **_: Any) -> UnseenWeight:
    return _refill(w, law.normal(mean, std, w.source.random.laws))


def _uniform_(w: UnseenWeight, low: float = 0.0, high: float = 1.0, **_: Any) -> UnseenWeight:
    return _refill(w, law.uniform(low, high, w.source.random.laws))


def _fill_(w: UnseenWeight, value: Any = 0.0) -> UnseenWeight:
    return _refill(w, law.constant(float(value)))


def _copy_(w: Any, other: Any, *_: Any) -> Any:
    if not isinstance(w, UnseenWeight):
        return NotImplemented
    x: Tensor | None = other.source.known() if isinstance(other, UnseenWeight) else other.detach()
    if x is None:
        _refill(w, other.source.values)
        w.source.orthogonal = other.source.orthogonal
        return w
    w.source.write(x.mT if w.transposed else x)
    return _refill(w, _some(x, w.source.random), drawn=False)


def _refill(w: UnseenWeight, values: Tensor, drawn: bool = True) -> UnseenWeight:
    # In place and resampled: a slice of a weight holds its share of the weight's values.
    own = w.source.values
    own.copy_(values[: len(own)])
    w.source.orthogonal = False
    if drawn:
        w.source.drawn_anew()
    return w


def _some(x: Tensor, random: Random) -> Tensor:
    pick = torch.randint(x.numel(), (law.COUNT,), generator=random.laws)
    return x.detach().flatten()[pick].to(torch.float64)


def _like(make: Callable[[Random], Tensor]) -> Callable[..., UnseenWeight]:
    def made(w: UnseenWeight, *args: Any, **kwargs: Any) -> UnseenWeight:
        shape = args[0] if args and isinstance(args[0], (list, tuple)) else w.shape
        random = w.source.random
        return UnseenWeight(Source(tuple(shape), make(random), random), tuple(shape), w.dtype)

    return made


def _clone(w: UnseenWeight, **_: Any) -> UnseenWeight:
    made = Source(tuple(w.shape), w.source.values.clone(), w.source.random)
    elements = w.source.known()
    made.orthogonal = w.source.orthogonal
    made.given = None if elements is None else elements.clone()
    return UnseenWeight(made, made.shape, w.dtype)


def _share_of(
    w: UnseenWeight, axis: int, start: int, stop: int, cut: Callable[[Tensor], Tensor], *shape: int
) -> UnseenWeight:
    """A slice of a weight under initialisation: changes to it change as large a share of the
    values; a padding row of a vocabulary is too small to be seen."""
    own, n = w.source.values, w.shape[axis]
    source = Source(shape, own[len(own) * start // n : len(own) * stop // n], w.source.random)
    source.whole = w.source, lambda t: cut(t.mT if w.transposed else t)
    return UnseenWeight(source, shape, w.dtype)


def _select_law(w: UnseenWeight, axis: int, index: int) -> UnseenWeight:
    axis, index = axis % w.dim(), index % w.shape[axis]
    shape = (*w.shape[:axis], *w.shape[axis + 1 :])
    return _share_of(w, axis, index, index + 1, lambda t: t.select(axis, index), *shape)


def _slice_law(
    w: UnseenWeight, axis: int = 0, start: int | None = None, stop: int | None = None, step: int = 1
) -> Any:
    axis = axis % w.dim()
    first, last, _ = slice(start, stop, step).indices(w.shape[axis])
    count = len(range(first, last, step))
    shape = (*w.shape[:axis], count, *w.shape[axis + 1 :])
    cut: Callable[[Tensor], Tensor] = lambda t: aten.slice(t, axis, first, last, step)  # noqa: E731
    return _share_of(w, axis, first, last, cut, *shape)


def _split_law(w: UnseenWeight, size: Any, axis: int = 0) -> list[UnseenWeight]:
    n = w.shape[axis]
    sizes = size if isinstance(size, (list, tuple)) else [size] * (n // size)
    if sum(sizes) < n:
        sizes = [*sizes, n - sum(sizes)]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [_slice_law(w, axis, e - s, e) for s, e in zip(sizes, ends, strict=True)]


def _qr_law(w: UnseenWeight, *_: Any) -> tuple[UnseenWeight, UnseenWeight]:
    """Q of a Gaussian matrix, for `nn.init.orthogonal_`: it transposes a wide matrix first (which
    is not done here), so E Q² = 1/max(rows, columns); of R it uses the signs of the diagonal."""
    rows, columns = w.shape
    random = w.source.random
    q = Source((rows, columns), law.normal(0.0, max(rows, columns) ** -0.5, random.laws), random)
    q.orthogonal = True
    r = Source((min(rows, columns),) * 2, law.constant(1.0), random)
    return UnseenWeight(q, q.shape, w.dtype), UnseenWeight(r, r.shape, w.dtype)


def _diagonal_law(w: UnseenWeight, *_: Any) -> Tensor:
    return law.draw(w.source.values, (min(w.shape),), w.source.random.laws, w.dtype)


# -- while it runs -------------------------------------------------------------------------------
def _product(w: UnseenWeight, x: Tensor) -> Tensor:
    """View times X [N, T]."""
    return w.source.transposed_times(x) if w.transposed else w.source.times(x)


def _mm(a: Any, b: Any) -> Any:
    if isinstance(a, UnseenWeight) and isinstance(b, UnseenWeight):
        return NotImplemented
    if isinstance(a, UnseenWeight):
        return _product(a, b)
    return _product(b.like((b.shape[1], b.shape[0]), flip=True), a.mT).mT


def _bmm(a: Any, b: Any) -> Any:
    if isinstance(a, UnseenWeight) or b.dim() != 3 or b.transposed:
        return NotImplemented
    parts = [UnseenWeight(b.source.part(e), tuple(b.shape[1:]), b.dtype) for e in range(len(b))]
    return torch.stack([_mm(x, w) for x, w in zip(a, parts, strict=True)])


def _mv(a: Any, b: Any) -> Any:
    return _product(a, b[:, None])[:, 0] if isinstance(a, UnseenWeight) else NotImplemented


def _addmm(bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    if isinstance(bias, UnseenWeight):
        return NotImplemented
    product = _mm(a, b)
    return product if product is NotImplemented else beta * bias + alpha * product


def _linear(x: Any, w: Any, bias: Tensor | None = None) -> Any:
    if isinstance(x, UnseenWeight):
        return NotImplemented
    y = _mm(x.flatten(0, -2), _transpose(w)).unflatten(0, x.shape[:-1])
    return y if bias is None else y + bias


def _embedding(w: UnseenWeight, ids: Tensor, *_: Any) -> Any:
    """Rows are Wᵀ times unit vectors: so a tied output layer knows them again."""
    if w.transposed:
        return NotImplemented
    rows, places = torch.unique(ids, return_inverse=True)
    unit = torch.zeros(w.shape[0], len(rows), dtype=w.dtype)
    unit[rows, torch.arange(len(rows))] = 1.0
    return w.source.transposed_times(unit).T[places].to(w.dtype)


def _select(w: UnseenWeight, axis: int, index: int) -> Any:
    if axis % w.dim() != 0 or w.dim() != 3 or w.transposed:
        return NotImplemented
    part = w.source.part(index % w.shape[0])
    return UnseenWeight(part, tuple(w.shape[1:]), w.dtype)


def _norm(w: UnseenWeight, order: float = 2, axis: Any = None, *_: Any, **__: Any) -> Any:
    if order != 2 or axis:
        return NotImplemented
    return (w.numel() * w.source.values.square().mean()).sqrt().to(w.dtype)


_VIEWS: dict[Any, Callable[..., Any]] = {
    aten.detach.default: lambda w, *_: w.like(), aten.alias.default: lambda w, *_: w.like(),
    aten.view.default: _view,
    aten._unsafe_view.default: _view, aten.t.default: _transpose,
    aten.transpose.int: _transpose, aten.permute.default: _permute,
    aten._to_copy.default: _copy_to, aten.linalg_vector_norm.default: _norm,
}  # fmt: skip
_BUILDING: dict[Any, Callable[..., Any]] = {
    aten.normal_.default: _normal_, aten.uniform_.default: _uniform_,
    aten.fill_.Scalar: _fill_, aten.fill_.Tensor: _fill_, aten.zero_.default: _fill_,
    aten.copy_.default: _copy_, aten.select.int: _select_law, aten.slice.Tensor: _slice_law,
    aten.split.Tensor: _split_law, aten.split_with_sizes.default: _split_law,
    aten.clone.default: _clone,
    aten.empty_like.default: _like(lambda r: law.constant(0.0)),
    aten.new_empty.default: _like(lambda r: law.constant(0.0)),
    aten.zeros_like.default: _like(lambda r: law.constant(0.0)),
    aten.ones_like.default: _like(lambda r: law.constant(1.0)),
    aten.randn_like.default: _like(lambda r: law.normal(0.0, 1.0, r.laws)),
    aten.rand_like.default: _like(lambda r: law.uniform(0.0, 1.0, r.laws)),
    aten.linalg_qr.default: _qr_law, aten.diagonal_copy.default: _diagonal_law,
    aten.diagonal.default: _diagonal_law, aten.t_.default: lambda w: w,
}  # fmt: skip
_RUNNING: dict[Any, Callable[..., Any]] = {
    aten.mm.default: _mm, aten.addmm.default: _addmm, aten.mv.default: _mv, aten.bmm.default: _bmm,
    aten.linear.default: _linear, aten.embedding.default: _embedding,
    aten.select.int: _select,
}  # fmt: skip
#: Questions initialisation code asks of all elements at once.
_SUMMARIES = frozenset({aten.any.default, aten.all.default, aten.max.default, aten.min.default,
                        aten.mean.default, aten.std.correction})  # fmt: skip
