"""EF702: layers with weights follow one another with nothing non-linear between them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .series import largest
from .view import View

#: Ops that are linear in their input (or nearly: a batch norm in evaluation is).
LINEAR_KINDS = ("dropout",)
LINEAR_OPS = ("batch_norm", "instance_norm", "neg", "mean", "sum", "avg_pool1d", "avg_pool2d",
              "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
              "identity")  # fmt: skip
#: A norm over features bends the function a little; it is no activation.
WEAK_OPS = ("layer_norm", "group_norm", "rms_norm")
#: Kinds that make a network non-linear.
BENDING = ("activation", "recurrent", "attention", "softmax", "custom", "other", "matmul")
BENDING_POOLS = ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d",
                 "adaptive_max_pool2d", "adaptive_max_pool3d")  # fmt: skip
#: Pairs of layers without anything between them, in a network that has activations elsewhere.
PAIRS = 2
#: An activation whose slope differs by no more than this share of itself, at every reading, is
#: affine on all it saw (float32's rounding is 1e-7; a tanh of inputs beyond .01 bends more).
STRAIGHT = 1e-4
#: Inputs of less rms than this say nothing about an activation (see `STRAIGHT`).
FAINT = 0.03


class MissingNonlinearity(Rule):
    """Two layers in a row act as one: no activation stands between them.

    ## What it means
    The product of two matrices is a matrix. Layers with no activation between them compute
    what a single one could.

    ## Why is this bad?
    Depth and parameters are paid for, and only a linear function is had: no plane separates
    most real classes.

    ## How it is measured
    Read off the tape: from each layer with weights back through dropout, batch norm, means and
    average pools to the next layer with weights; an activation whose slope was the same wherever
    it was read (LeakyReLU of slope 1, a ReLU that is always on) counts as nothing. Where something
    else joins on the way (a residual add, a gate, attention) the pair does not count. Nor do
    factorisations that are meant: a middle narrower than both sides (bottleneck, low rank), a
    convolution in groups beside a pointwise one or a layer of each token, one along each axis. A
    layer norm between counts as nothing only where the whole network has no activation.

    ## Threshold
    A warning for a network of two or more layers with no non-linearity at all on the way to the
    loss, or with two or more such pairs. A single pair beside activations is told as info: an
    embedding or projection may be meant. Structure, so nothing is calibrated.

    ## What to do
    Put ReLU, GELU or tanh between the layers, or merge them.
    """

    code = "EF702"
    name = "missing-nonlinearity"
    title = N_("No non-linearity between layers")
    sentence = N_("There is no activation between layers{at}, so that they act as one linear layer")
    labels = (
        EvidenceLabel("pairs", N_("pairs of layers with no activation between them"), fact=True),
        EvidenceLabel("whole_network", N_("whole network")),
        EvidenceLabel("straight_activations", N_("activations that are linear on what they see")),
    )
    stage = 60
    remedies = (
        Remedy(
            "Put an activation (ReLU, GELU, tanh) between the layers named; without one "
            "they act as a single linear layer."
        ),
        Remedy(
            "If the factorisation is meant (a low-rank layer), make the middle narrower "
            "than both sides, or ignore this code."
        ),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        trunk = view.trunk
        sites = [s for s in view.sites if s.id in trunk]
        layers = [s.id for s in sites if s.kind == "affine" and view.weights[s.id]]
        straight = _straight(view)
        after = _after(view)
        bends = any(
            (s.kind in BENDING and s.id not in straight)
            or s.op in BENDING_POOLS
            or (s.kind == "join" and s.op == "mul")
            for s in sites
            if s.id not in after and not _last(view, s.id, after)
        )
        pairs: dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[int, int]] = {}
        for b in layers:
            a = _before(view, b, straight, through_norms=not bends)
            same_root = a >= 0 and view.sites[a].root == view.sites[b].root
            if same_root and not _meant(view, a, b):
                pairs.setdefault((view.weights[a], view.weights[b]), (a, b))
        if not pairs:
            return
        ids = sorted({i for pair in pairs.values() for i in pair})
        whole = not bends
        yield self.finding(
            Severity.warning if whole or len(pairs) >= PAIRS else Severity.info,
            sites=ids,
            steps=view.over([0, -1]),
            evidence={
                "pairs": float(len(pairs)),
                "layers": float(len(layers)),
                "whole_network": float(whole),
                "straight_activations": float(len(straight & trunk)),
            },
            threshold={"pairs": 1.0 if whole else float(PAIRS)},
            chain=(Link("cause", self.code, None, ids[0]),),
        )


def _straight(view: View) -> frozenset[int]:
    """Ids of activations that were affine on what they saw at every reading."""
    most, size = largest(view.site("bend")), largest(view.site("rms"))

    def faint(id: int) -> bool:
        """Any smooth function is straight on signals as small as these, which is the start's
        fault (EF601) and none of the function's."""
        return any(size[p] < FAINT for p in view.parents(id))

    return frozenset(
        s.id
        for s in view.sites
        if s.kind == "activation" and most[s.id] <= STRAIGHT and not faint(s.id)
    )


def _after(view: View) -> frozenset[int]:
    """Losses, and what a script makes of outputs on its way to one. Not their product, which may
    be the model's answer."""
    own = (i for i in view.beyond if not view.sites[i].root and view.sites[i].kind != "matmul")
    return frozenset((*view.losses, *own))


def _last(view: View, id: int, after: frozenset[int]) -> bool:
    """Whether a site shapes the output alone: only losses, or what leads to them, read it."""
    readers = view.consumers[id]
    if view.sites[id].kind not in ("softmax", "activation") or not readers:
        return False
    return after.issuperset(readers)


def _before(view: View, id: int, straight: frozenset[int], *, through_norms: bool) -> int:
    """The layer whose output reaches this one through linear sites alone; -1 if none does."""
    parents = view.parents(id)
    while len(parents) == 1:
        p = view.sites[parents[0]]
        if len(view.consumers[p.id]) != 1:
            return -1  # something else reads it: the layer has another purpose as well
        if p.kind == "affine":
            # A block's layer (TorchScript) has no shape: what it puts out, and where, is not known.
            return p.id if view.weights[p.id] and p.shape else -1
        linear = p.kind in LINEAR_KINDS or p.op in LINEAR_OPS or p.id in straight
        if not linear and not (through_norms and p.op in WEAK_OPS):
            return -1
        parents = view.parents(p.id)
    return -1


def _meant(view: View, a: int, b: int) -> bool:
    """Whether two layers in a row are a factorisation that someone meant."""
    wa, wb = (view.run.params[view.weights[i][0]].shape for i in (a, b))
    middle = wa[0]
    ka, kb = wa[2:], wb[2:]
    if len(wb) > 2 and middle > wb[1]:
        return True  # in groups, behind a convolution or a layer of each token
    if len(wa) > 2 and len(wb) > 2:
        read = view.sites[view.parents(a)[0]].shape if view.parents(a) else ()
        if len(read) > 2 and read[1] > wa[1]:
            return True  # in groups: each half mixes what the other does not
        if ka != kb and all(x == 1 or y == 1 for x, y in zip(ka, kb, strict=False)):
            return True  # along one axis, then along the other (1 x k, k x 1; pointwise)
    into = wa[1] * math.prod(ka)
    return bool(middle < into and middle < wb[0])
