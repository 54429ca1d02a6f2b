"""EF807: an optimizer holds parameters that no gradient ever reaches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Parameter, Severity
from .base import Cause, Remedy, Rule
from .ef208_attention_logit_growth import attending
from .ef704_parameter_not_trained import MOST, size, told
from .remedies import FREEZE
from .view import View

#: Parameters that nothing reads at all are spare parts of a borrowed network up to this share.
SPARE = 0.1
#: Sampled steps of an optimizer that tell.
FEWEST = 3


class OutOfReach(Rule):
    """No gradient reaches a parameter that an optimizer holds: the way to the loss is cut.

    ## What it means
    Somewhere behind the layer the path to the loss ends: `detach()`, `.data`, `.item()`, a NumPy
    array, a loss made anew as a tensor, a block under `no_grad`, or a choice such as `argmax`,
    rounding or a comparison, which has no derivative. Or the layer is built and held, and nothing
    calls it.

    ## Why is this bad?
    Everything ahead of the cut keeps its random start; only what stands behind it learns.

    ## How it is measured
    Parameters an optimizer holds for which no gradient was seen at any of its sampled steps (at
    least 3), while others of the same optimizer had one; or none of them had one, their updates
    were all exactly 0, and the parameters of another optimizer had gradients; or no parameter at
    all had one, and a loss function was given the network's output. Gradients that are there and
    exactly zero are EF104, parameters that no optimizer holds EF704.

    ## Threshold
    One parameter. Error where it is half or more of the weights (if nothing reads them, only where
    the loss is no better than a guess or than at the start); warning otherwise; info where
    nothing reads the parameters and they are under a tenth of all weights (a spare head of a
    borrowed network), unless it is a table of places: as wide as the tokens that an attention
    reads, and as long as their sequence or longer (warning). No healthy net of the zoo's
    calibration half has such a parameter.

    ## What to do
    Follow the layer's output to the loss and take the cut away; replace `argmax` by a softmax or
    a straight-through estimate; freeze with `requires_grad_(False)` what is meant to stand still.
    """

    code = "EF807"
    name = "out-of-reach"
    title = N_("No gradient reaches parameters")
    sentence = N_("An optimizer holds parameters that no gradient reaches{at}")
    stage = 100
    standing = True
    leads_to = ("EF104", "EF301", "EF401", "EF404", "EF205")
    if_cause = Remedy("First mend the cut way to the loss (EF807).")
    remedies = (FREEZE,)
    causes = (
        Cause(
            "cut-off",
            N_("the way from them to the loss is cut (detach, no_grad, argmax)"),
            Remedy(
                "Follow the layer's output to the loss, and that to its backward(), and take away "
                "the detach(), .data, .item(), no_grad() or argmax between them; in place of "
                "argmax use a softmax or a "
                "straight-through estimate."
            ),
        ),
        Cause(
            "never-called",
            N_("nothing in the forward pass reads them"),
            Remedy("Call the layer in forward, or take it out of the model."),
            harmless=True,  # nothing reads them
        ),
        Cause(
            "places-unread",
            N_("a table of places that nothing reads"),
            Remedy(
                "Add the table of places to the embedded tokens: an attention cannot tell their "
                "order by itself."
            ),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if not len(view.steps):
            return
        out = _without_gradient(view)
        read = {name for s in view.sites for name in s.params}
        total = sum(p.size for p in view.run.params if p.trainable)
        cut = [p for p in out if p.name in read]
        places = [p for p in out if p.name not in read and _of_places(view, p)]
        unread = [p for p in out if p.name not in read and p not in places]
        if cut:
            yield told(self, view, cut, None, "cut-off")
        if places:
            yield told(self, view, places, Severity.warning, "places-unread")
        if unread:
            bad = size(unread) >= MOST * total and view.harmed  # what is called trains without them
            severity = Severity.error if bad else Severity.warning
            if size(unread) < SPARE * total:
                severity = Severity.info
            yield told(self, view, unread, severity, "never-called")


def _without_gradient(view: View) -> list[Parameter]:
    """Parameters that are held, and never had a gradient where others had one."""
    held = [p for p in view.run.params if p.trainable and p.optimizer >= 0]
    grad, update = view.param("grad"), view.param("update")
    silent = np.asarray(np.isnan(grad).all(axis=0))
    learns = bool((grad > 0).any(axis=1).sum() >= FEWEST)
    nothing = np.isnan(grad).all() and not (view.site("delta")[:, list(view.layers)] > 0).any()
    learns |= bool(nothing and view.losses)  # the loss itself was cut off
    out: list[Parameter] = []
    for optimizer in sorted({p.optimizer for p in held if silent[p.id]}):
        group = [p for p in held if p.optimizer == optimizer]
        # rows of other optimizers' steps are NaN here: at least 3 of its own tell
        if (grad[:, [p.id for p in group]] > 0).any(axis=1).sum() >= FEWEST:
            out += [p for p in group if silent[p.id]]
        elif learns and all(silent[p.id] for p in group):
            # cut off as a whole: its steps were seen, and they did nothing
            own = update[:, [p.id for p in group]]
            idle = (own == 0).all(axis=1).sum() >= FEWEST and not (own > 0).any()
            out += group if idle else []
    return out


def _of_places(view: View, p: Parameter) -> bool:
    """Whether a parameter has a row for each place of the tokens that attentions read, where
    nothing else tells them apart. (A table of a token's own, as tall as it is wide or as a table
    of tokens, may be a spare layer.)"""
    table = [n for n in p.shape if n != 1]
    if len(table) != 2 or table[0] == table[1] or view.of_kind("recurrent"):
        return False
    length, width = table
    known = {q.shape for q in view.run.params if q.name != p.name}
    if (length, width) in known:
        return False
    heard = view.ancestors(attending(view))
    shapes = [view.sites[i].shape for i in heard if view.sites[i].kind in ("embedding", "norm")]
    return any(len(s) == 3 and s[2] == width and 1 < s[1] <= length for s in shapes)
