"""Does the output for one sample depend on another's input, and where is that mixed in?"""

from __future__ import annotations

from torch import Tensor

from .given import axis_of
from .meant import DEALING, Cuts, counts
from .retrace import Compared, DataSource, Played, Retrace, RetracedStep
from .steps_back import last_bad, seed_of, sent_back

#: How samples were mixed: rows of memory dealt out anew, a layer that takes the first axis for
#: time, an operation along the first axis.
DEALT, TIME_FIRST, ALONG = 0, 1, 2


def mixed(retrace: Retrace) -> list[tuple[int, str, float]]:
    for pair in retrace.pairs[:2]:
        n = pair.shape[0]
        sources = [i for i, s in enumerate(retrace.sources) if _sampled(s, pair)]
        if n < 3 or pair.target.shape[0] != n or not sources or counts(pair.target):
            continue
        if len(pair.shape) > 1 and pair.shape[1] == n:
            continue  # each against each
        if not any([_mixes(step, n) is not None for step in retrace.steps]):
            continue  # whatever depends on what, nothing would be said
        cuts = Cuts(n)
        played = retrace.play(pair.slot, cuts)
        out = played.values[pair.slot]
        if cuts.split or out is None or not out.requires_grad:
            continue
        few = sorted({n // 2, n - 1})
        seed = seed_of(out)
        seed[[i for i in range(n) if i not in few]] = 0
        leaves = [played.leaves[i] for i in sources]
        grads = sent_back(out, leaves, seed)
        share = max([_others(g, few) for g in grads if g is not None], default=0.0)
        if share > 0:
            found = _blame_samples(retrace, played, out, seed, few)
            if found is not None:
                return [(found[0], "mixed", share), (found[0], "mixed_by", float(found[1]))]
    return []


def _sampled(source: DataSource, pair: Compared) -> bool:
    """Whether the first axis of a piece of the data is that of the targets' samples, surely: what
    has a target at each of several steps may be time first."""
    x, y = source.value if source.ids is None else source.ids, pair.target
    if x.dim() < 2 or x.shape[0] != pair.shape[0]:
        return False
    return not (y.dim() > 1 and y.shape[1] > 1 and y.shape[1] == x.shape[1])


def _others(grad: Tensor, few: list[int]) -> float:
    """Share of the other samples with a gradient; 0 where any is not finite."""
    rows = grad.detach().flatten(1) if grad.dim() > 1 else grad.detach()[:, None]
    if not bool(rows.isfinite().all()) or not bool(rows[few].count_nonzero()):
        return 0.0
    reached = (rows != 0).any(1)
    reached[few] = False
    return float(reached.sum()) / (len(rows) - len(few))


def _blame_samples(
    retrace: Retrace, played: Played, out: Tensor, seed: Tensor, few: list[int]
) -> tuple[int, int] | None:
    """Where samples are mixed last before the output, and how; None: in a way that may be meant."""
    n = out.shape[0]
    at = last_bad(
        retrace, played, out, seed, lambda t: t.shape[:1] == (n,), lambda g: _others(g, few) > 0
    )
    for step in retrace.steps[at + 1 :]:
        how = _mixes(step, n)
        if how is not None and step.site is not None:
            return step.site, how
    return None


def _mixes(step: RetracedStep, n: int) -> int | None:
    """How an operation would mix n samples, if samples lie along the first axis; None: not, or in
    a way that may be meant."""
    before, after = step.before, step.after
    if step.name in DEALING and _deals(before, after, n):
        return DEALT
    steps = len(before) == 3 and before[0] == n and before[1] > 1
    timed = step.kind in ("recurrent", "attention") and after[:2] == before[:2]
    if steps and timed and step.args[-1] is not True:
        # (the last argument of a recurrent layer's function is batch_first)
        return TIME_FIRST
    softmax = step.kind == "softmax" and before[:1] == (n,) and n not in before[1:]
    return ALONG if softmax and axis_of(step.name, before, step.args, step.kwargs) == 0 else None


def _deals(before: tuple[int, ...], after: tuple[int, ...], n: int) -> bool:
    """Whether a view makes rows of samples out of others' memory: [N, ..] as [T, N, ..], or
    [A, N, ..] as [N, ..], where a transpose is meant."""
    if len(before) < 2 or not after:
        return False
    if before[0] == n and after[0] != n:
        return len(after) > 1 and after[1] == n and after[0] > 1
    return before[1] == n and before[0] not in (1, n) and after[0] == n
