"""Numbers read off one tensor: pure functions, tensor in, 0-dim tensors or floats out.

Cost decides how each is written (one thread, per element): sum .05 ns, 2-norm .1, aminmax .11,
count_nonzero .45, a comparison with a sum .75, float64 norm .7, inf-norm 2.6. So norms and
extremes see the whole tensor, counts a subsample of at most `LIMIT` elements. A bool's `sum`
takes half of what `count_nonzero` takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .scalars import Scalar, widest
from .together import COMMON, EXACT, array_of, flattened, norms_of, small

LIMIT = 1 << 15
_HALF = frozenset({torch.float16, torch.bfloat16})
_TINY_NORM = 1e-15  # below it float32 squares lose bits (1e-38 is the smallest normal)


def local(t: Tensor) -> Tensor:
    """What a tensor's numbers are read off: the tensor, or what a class of its own wraps.

    Of a DTensor this rank's shard (no collective: ranks may sample different steps), of a jagged
    one its values. To be called `unheard`; a `__torch_dispatch__` of the user's does not hear it
    either. May return a tensor that is `mute`.
    """
    if type(t) in COMMON:
        return t
    shard = getattr(t, "to_local", None)
    if shard is not None:
        return shard()  # type: ignore[no-any-return]
    kind = type(t)
    if not _listens(kind):
        return t  # it would hear torch functions only
    if t.layout == torch.jagged:
        return getattr(t, "_values", t)
    if (kind.__module__ or "").startswith("torch."):
        return t
    with torch._C._DisableTorchDispatch():
        if t.layout == torch.strided and (t.data_ptr() or not t.numel()):
            return t.detach()  # memory of its own: the same, without the class
    names = [n for c in kind.__mro__ for n in getattr(c, "__slots__", ())] + list(vars(t))
    held = [v for n in names if isinstance(v := getattr(t, n, None), Tensor)]
    alike = [v for v in held if v.shape == t.shape and v.is_floating_point()]
    return local(alike[0]) if len(alike) == 1 else t


def _listens(kind: type) -> bool:
    """Does the class have a `__torch_dispatch__`?"""
    return kind.__torch_dispatch__ is not Tensor.__torch_dispatch__  # type: ignore[attr-defined]


def mute(x: Tensor) -> bool:
    """Can the numbers of `local`'s result not be read without the code of a class of the user's?"""
    kind = type(x)
    return (
        kind not in COMMON and _listens(kind) and not (kind.__module__ or "").startswith("torch.")
    )


def plain(x: Tensor) -> Tensor | None:
    """The tensor to read numbers off: detached, a DTensor's own shard; None if it has no readable
    elements (sparse, nested, complex, integer, empty, or nobody else's to read)."""
    if type(x) not in COMMON:
        x = local(x)
        if mute(x):
            return None
    if x.requires_grad:
        x = x.detach()
    if x.layout != torch.strided or x.is_nested or not x.is_floating_point() or not x.numel():
        return None
    return x


def shape(t: Tensor) -> tuple[int, ...]:
    """Its sizes; of a nested tensor, which has none that are numbers, those of all its rows."""
    if not t.is_nested:
        return tuple(int(d) for d in t.shape)
    values: Tensor = t._values if t.layout is torch.jagged else t.values()  # type: ignore[assignment]
    return tuple(values.shape)


def sample(x: Tensor, offset: int = 0, limit: int = LIMIT) -> Tensor:
    """A view of at most about `limit` elements: whole samples first, then strided features."""
    n = x.numel()
    if n <= limit:
        return x
    sizes, parts = list(x.shape), [slice(None)] * x.dim()
    if len(sizes) > 1 and sizes[0] > 8:
        step = min(math.ceil(n / limit), sizes[0] // 8)
        parts[0] = slice(offset % step, None, step)
        sizes[0] = len(range(offset % step, sizes[0], step))
    # Strides on the last axes only: a flat view of a permuted tensor would copy it whole.
    for d in range(len(sizes) - 1, 0 if len(sizes) > 1 else -1, -1):
        n = math.prod(sizes)
        if n <= limit:
            break
        step = min(math.ceil(n / limit), sizes[d])
        parts[d] = slice(None, None, step)
        sizes[d] = math.ceil(sizes[d] / step)
    return x[tuple(parts)]


def sample_rows(x: Tensor, offset: int = 0, limit: int = 8 * LIMIT) -> Tensor:
    """A view of whole samples (axis 0), few enough for `limit` elements, eight or more; all units
    stay."""
    n = x.numel()
    if x.dim() < 2 or n <= limit or x.shape[0] <= 8:
        return x
    step = min(math.ceil(n / limit), x.shape[0] // 8)
    return x[offset % step :: step]


_RUN = 32  # elements: cache lines that lie together are fetched together


def runs(x: Tensor, limit: int) -> Tensor:
    """A view of about `limit` elements of a larger tensor, spread evenly: `_RUN` of every
    so many, a number without a common factor with the rows' length, so that every column is met.
    `sample` where the memory is not in one piece."""
    if x.numel() <= limit:
        return x
    if not x.is_contiguous():
        return sample(x, limit=limit)
    used, every = _lines(x.shape, x.numel(), limit)
    return x.view(-1)[:used].view(-1, every)[:, :_RUN]


def _lines(shape: Sequence[int], n: int, limit: int) -> tuple[int, int]:
    """(how many of n elements to cut, into rows of how many) for `runs`."""
    lines, row = n // limit, n // shape[0]
    while math.gcd(lines, row) > 1:
        lines += 1
    every = _RUN * lines
    return n - n % every, every


def chunks(x: Tensor) -> Tensor:
    """A view of one element in nine to thirteen, in `runs`, of a tensor above 2 `LIMIT`; else x.

    The root mean square over n independent elements estimates that over all within 1/sqrt(2 n),
    that is 1 % for the smallest tensor that is subsampled.
    """
    n = x.numel()
    return runs(x, n // 9) if n > 2 * LIMIT and x.is_contiguous() else x


SAMPLES, QUERIES = 4, 64  # of attention


def some_queries(p: Tensor) -> Tensor:
    """A view of attention weights p [..., Q, K]: few samples and queries, but every key."""
    if p.dim() > 2:
        p = p[:SAMPLES]
    return p[..., :: max(1, math.ceil(p.shape[-2] / QUERIES)), :]


def norm(x: Tensor) -> Scalar:
    """2-norm, right down to 1e-300 where float64 is to be had.

    On the CPU float32 first (7x cheaper), float64 when the result says it was needed; elsewhere
    always float64, since looking at the result would wait for the device.
    """
    if x.is_cpu:
        if type(x) in COMMON and x.dtype in EXACT and x.is_contiguous():
            flat = x.view(-1)
            value = math.sqrt(flat.dot(flat).item())  # three quarters of vector_norm's time
        elif x.dtype in _HALF:
            value = float(torch.linalg.vector_norm(x, dtype=torch.float32))
            if x.dtype == torch.float16:  # whose squares float32 holds
                return value
        else:
            value = float(torch.linalg.vector_norm(x))
        if value < _TINY_NORM or not math.isfinite(value):
            value = float(torch.linalg.vector_norm(x, dtype=torch.float64))
        return value
    size: Tensor = torch.linalg.vector_norm(x, dtype=widest(x.device.type))
    return size


def wide(x: Tensor) -> Tensor:
    """x in the widest numbers that its device has: float64, as a rule."""
    return x.to(widest(x.device.type))


def norms(xs: Sequence[Tensor]) -> list[Scalar]:
    """`norm` of each; of small tensors together, as each call costs."""
    few = [x for x in xs if small(x)]
    sizes = iter(norms_of(flattened(few), [x.numel() for x in few]))
    if len(few) == len(xs):
        return list(sizes)
    return [next(sizes) if small(x) else norm(x) for x in xs]


def rms(x: Tensor) -> Scalar:
    """Root mean square; 0 for an empty tensor."""
    return norm(x) / math.sqrt(max(1, x.numel()))


def absmax(x: Tensor) -> Scalar:
    """Largest magnitude; NaN if one is NaN."""
    low, high = torch.aminmax(x)
    return torch.maximum(-low, high)


@lru_cache(maxsize=64)
def dtype_name(dtype: torch.dtype) -> str:
    """ "float32" and its like."""
    return str(dtype).removeprefix("torch.")


def share(mask: Tensor) -> Scalar:
    return mask.sum() / max(1, mask.numel())


def zeros(x: Tensor, limit: int = 0) -> Scalar:
    """Share of elements exactly 0; with a limit, of a tensor larger than that in its `runs`."""
    if x.is_cpu and x.dtype in EXACT:  # numpy: a call for four
        a, n = array_of(x), x.numel()
        if 0 < limit < n:
            if not x.is_contiguous():
                return zeros(sample(x, limit=limit))
            used, every = _lines(a.shape, n, limit)
            a = a.reshape(-1)[:used].reshape(-1, every)[:, :_RUN]
        return 1 - np.count_nonzero(a != 0) / max(1, a.size)
    few = runs(x, limit) if limit else x
    return 1 - few.bool().sum() / max(1, few.numel())


def nonfinite(x: Tensor, size: Scalar) -> Scalar:
    """Number of NaN and Inf elements; `size` is the norm, which tells the CPU when to look."""
    if type(size) is float and math.isfinite(size):
        return 0.0
    bad = (~torch.isfinite(x)).sum()
    return float(bad) if bad.is_cpu else bad


def finite(x: Tensor) -> bool:
    """Is every element finite? Waits for the device."""
    return math.isfinite(float(norm(x))) or bool(torch.isfinite(x).all())


def subnormal(x: Tensor) -> Scalar:
    """Share of the non-zero elements below the smallest normal number of x's dtype."""
    nonzero = torch.count_nonzero(x)
    small = torch.count_nonzero((x.abs() < torch.finfo(x.dtype).tiny) & (x != 0))
    return small / nonzero.clamp(min=1)


def spread(x: Tensor) -> Scalar | None:
    """1 - c between the samples (axis 0) of x: mean-field theory's distance of representations.

    c = mean over pairs a != b of <x_a, x_b> / mean |x_a|^2 (uncentred). Written with centred
    samples, since 1 - c down to 1e-12 would drown in the difference of two sums:
    1 - c = B/(B-1) * mean |x_a - mean x|^2 / mean |x_a|^2. None for fewer than two samples.
    """
    if x.dim() < 2 or x.shape[0] < 2:
        return None
    x_BF = x.flatten(1)
    if x_BF.dtype in _HALF:
        x_BF = x_BF.float()
    b = x_BF.shape[0]
    centred = torch.linalg.vector_norm(x_BF - x_BF.mean(0, keepdim=True))
    whole = torch.linalg.vector_norm(x_BF)
    apart: Tensor = (centred / whole) ** 2 * (b / (b - 1))
    return apart


def entropy(p: Tensor, mask: Tensor | None = None) -> tuple[Scalar, Scalar]:
    """Normalised entropy of attention weights p [..., heads, queries, keys]: mean, least head.

    H / log(number of keys that can be attended to), so 1 is even and 0 is one key; rows with a
    single key say nothing and are left out.
    """
    keys = (p > 0).sum(-1) if mask is None else mask.expand(p.shape).sum(-1)
    h = -torch.special.xlogy(p, p).sum(-1)
    told = keys > 1
    even = torch.where(told, h / keys.clamp(min=2).to(h.dtype).log(), torch.zeros_like(h))
    if even.dim() >= 3:
        axes = tuple(d for d in range(even.dim()) if d != even.dim() - 2)
        per_head = even.sum(axes) / told.sum(axes).clamp(min=1)
    else:
        per_head = (even.sum() / told.sum().clamp(min=1)).reshape(1)
    return per_head.mean(), per_head.min()


#: Scores below it were put there to hide a key: -inf, -1e9 or, as BERT has it, -1e4.
_HIDDEN = -9e3


def score(z: Tensor) -> Scalar:
    """Largest size of the scores z that a softmax is given, hidden keys left out (0: all are)."""
    return absmax(torch.where(z > _HIDDEN, z, 0.0).float())


def typical(x: Tensor) -> Scalar:
    """Median |x| of about 4,096 elements: what a few large coordinates do not move."""
    return sample(x, limit=1 << 12).abs().flatten().median()


def features(x: Tensor) -> dict[str, Scalar]:
    """Scale of data x [B, ...], feature by feature (axis 1; channels of an image).

    feature_low, feature_high: 5th percentile and largest of the features' rms. outlier: largest
    over features of |x - median| / max(rms of the feature without its largest 2 %, the median of
    that over features, or where it is 0 the median of their largest): a few outliers do not hide
    each other, and sparse features, quiet but for one sample, do not count as outliers. negative:
    share of values below 0. zeros: share of exact zeros.
    """
    x = x.detach()
    out: dict[str, Scalar] = {"integer": float(not x.dtype.is_floating_point)}
    x = sample(x, limit=1 << 18).to(torch.float32)
    if x.dim() == 0 or x.numel() == 0:
        return out
    if out["integer"] == 0.0:
        out["integer"] = (x == x.round()).all().float()
    out["std"] = x.std(correction=0)
    out["negative"], out["zeros"] = (x < 0).float().mean(), zeros(x)
    x_NF = x.reshape(-1, 1) if x.dim() == 1 else x.movedim(1, -1).reshape(-1, x.shape[1])
    rms_F = x_NF.square().mean(0).sqrt()
    out["feature_low"] = torch.quantile(rms_F[: 1 << 16], 0.05)
    out["feature_high"] = rms_F.max()
    n = x_NF.shape[0]
    if n >= 8:
        x_FN = x_NF.t().contiguous()
        away_FN = (x_FN - _ascending(x_FN)[:, (n - 1) // 2, None]).abs()  # from the median
        away_FN = _ascending(away_FN)
        rest_FN = away_FN[:, : n - math.ceil(0.02 * n)]
        top_F, rest_F = away_FN[:, -1], rest_FN.square().mean(1).sqrt()
        # mostly rare one-hot columns have no usual size but that of their ones
        ones = torch.where(top_F > 0, top_F, torch.nan).nanmedian().nan_to_num(1.0)
        floor = rest_F.median()
        floor = torch.where(floor > 0, floor, ones).clamp(min=1e-30)
        out["outlier"] = (top_F / torch.maximum(rest_F, floor)).max()
    return out


def _ascending(x_FN: Tensor) -> Tensor:
    """Each row in order, NaN last; on the CPU by numpy, which takes a thirtieth of torch's time."""
    if x_FN.is_cpu:
        return torch.from_numpy(np.sort(array_of(x_FN), axis=1))
    return x_FN.sort(1).values


def slope(delta_in: Tensor, delta_out: Tensor) -> tuple[Scalar, Scalar]:
    """Of f' = delta_in / delta_out, two tensors of one shape, where delta came: its root mean
    square, and how much it bends: largest less least over the largest size, 0 where f is affine on
    all it saw (NaN where f' is 0 throughout)."""
    if delta_in.is_cpu:  # numpy: half of torch's calls, each at a tenth
        a, b = array_of(delta_in.float()), array_of(delta_out.float())
        there = b != 0
        f = np.zeros(a.shape, np.float32)
        with np.errstate(all="ignore"):
            np.divide(a, b, out=f, where=there)
            size = float(np.linalg.norm(f.ravel()))
            high = float(f.max(initial=-np.inf, where=there))
            low = float(f.min(initial=np.inf, where=there))
            top = max(abs(high), abs(low))
        bend = (high - low) / top if 0 < top < math.inf else math.nan
        return size / math.sqrt(max(1, int(there.sum()))), bend
    d_in, d_out = delta_in.float(), delta_out.float()
    came = d_out != 0
    ratio = torch.where(came, d_in / torch.where(came, d_out, 1.0), 0.0)
    mean = ratio.square().sum() / came.sum().clamp(min=1)
    most = torch.where(came, ratio, -math.inf).max()
    least = torch.where(came, ratio, math.inf).min()
    return mean.sqrt(), (most - least) / torch.maximum(most.abs(), least.abs())
