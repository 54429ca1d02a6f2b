"""Does the output for one sample depend on another's input, and where is that mixed in?"""

from __future__ import annotations

import torch
from torch import Tensor

from .meant import DEALING, Cuts, counts
from .retrace import Compared, DataSource, Played, Retrace, RetracedStep, Slot
from .steps_back import last_bad, seed_of

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
        cuts = Cuts(n)
        played = retrace.play(pair.slot, cuts)
        out = played.values[pair.slot]
        if cuts.split or out is None or not out.requires_grad:
            continue
        few = sorted({n // 2, n - 1})
        seed = seed_of(out)
        seed[[i for i in range(n) if i not in few]] = 0
        leaves = [played.leaves[i] for i in sources]
        grads = torch.autograd.grad(out, leaves, seed, retain_graph=True, allow_unused=True)
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
        x = _read(step, played)
        made = played.values[step.outs[0]]
        if x is None or made is None or step.site is None:
            continue
        if step.name in DEALING and _deals(tuple(x.shape), tuple(made.shape), n):
            return step.site, DEALT
        steps = x.dim() == 3 and x.shape[0] == n and x.shape[1] > 1
        timed = step.kind in ("recurrent", "attention") and made.shape[:2] == x.shape[:2]
        if steps and timed and step.args[-1] is not True:
            # (the last argument of a recurrent layer's function is batch_first)
            return step.site, TIME_FIRST
        if step.kind == "softmax" and x.shape[:1] == (n,) and x.dim() > 1:
            return step.site, ALONG
    return None


def _deals(before: tuple[int, ...], after: tuple[int, ...], n: int) -> bool:
    """Whether a view makes rows of samples out of others' memory: [N, ..] as [T, N, ..], or
    [A, N, ..] as [N, ..], where a transpose is meant."""
    if len(before) < 2 or not after:
        return False
    if before[0] == n and after[0] != n:
        return len(after) > 1 and after[1] == n and after[0] > 1
    return before[1] == n and before[0] not in (1, n) and after[0] == n


def _read(step: RetracedStep, played: Played) -> Tensor | None:
    """What a step reads first that depends on the data."""
    for value in (*step.args, *step.kwargs.values()):
        if isinstance(value, Slot):
            return played.values[value.number]
    return None
