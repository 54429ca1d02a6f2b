"""6. Every parameter gets a gradient, moves, and is in an optimizer once; modes agree."""

from __future__ import annotations

import math
import re
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown
from .bench import Change
from .result import Experiment, Tested

#: Updates watched: weights that start at zero let gradients pass from the second on.
STEPS = 3
#: Where one got no gradient, so many: an expert is not chosen by every batch.
LONGER = 24
#: Kept statistics count from so many batches on; so many kept deviations, or decades of variance,
#: from the batch's they are another data set's.
SEEN, SHIFT, DECADES = 20, 3.0, 1.0
#: The place of a member in a list of modules.
_NUMBER = re.compile(r"\.\d+(?=\.)")
#: Losses of two modes that differ by this share are two.
SAME = 1e-3


def test(lab: Lab) -> Tested:
    """Three updates on one batch. Told as a fault: a trained parameter that no optimizer holds, or
    two do; one that gets no gradient in all three (in a script: 24), or exactly zero with all of
    its module, but for experts that were not chosen; one
    that no update moved; gradients of earlier steps left when the next begins, each time; the
    whole model in evaluation mode, with dropout or batch norms in it; a normalisation whose kept
    statistics (20 batches or more) are three deviations or tenfold off the batch's.

    Parameters with `requires_grad=False` are meant to stand still. That training and evaluation
    modes give one loss with dropout off is told, not judged: some networks are two on purpose.
    """
    change = Change(same_batch=not lab.bench.streams, rate=1.0)
    trace = lab.run(change, STEPS, ("params",))
    if trace.ended != "done" and not trace.figures.get("noted"):
        return unknown(trace.ended, names=(trace.why,))
    params, noted = lab.subject.params, trace.figures["noted"]
    trained = [n for n, p in params.items() if p["trained"]]
    if not trained:
        return nothing("no-parameters")
    optimizers = bool(lab.subject.optimizers)
    held = [n for n in trained if params[n]["held"] or not optimizers]
    told: dict[str, Any] = {"trained": len(trained)}
    updates = trace.figures["updates"]
    if optimizers:
        left = [n for n in trained if not params[n]["held"]]
        if not held:
            return failed("none-held", code="EF704", **told)
        if left:
            return failed("left-out", names=left, code="EF704", **told)
        twice = [n for n in trained if params[n]["held"] > 1]
        if twice:
            return failed("twice", names=twice, **told)
    zero = _unreached(held, noted, updates)
    if zero and lab.bench.streams:
        later = lab.run(change, LONGER, ("params",)).figures
        noted, updates = later.get("noted", noted), later.get("updates", updates)
        zero = _unreached(zero, noted, updates)
    if zero and trace.figures.get("routed"):
        zero = _without_experts(zero, {n for n in held if n not in zero})
    if zero:
        return failed("no-gradient", names=zero, code="EF807", **told)
    pushed = [n for n in held if noted.get(n, {}).get("slight", 0) < updates]
    still = [n for n in pushed if not noted.get(n, {}).get("moved", True)]
    if still and optimizers:
        why = "none-moved" if len(still) == len(pushed) else "unmoved"
        return failed(why, names=still, code="EF802" if why == "none-moved" else "EF301", **told)
    stale = [n for n in held if updates > 1 and noted.get(n, {}).get("stale", 0) >= updates - 1]
    if len(stale) == len(held) and lab.bench.streams:
        return failed("stale", names=stale, code="EF801", **told)
    return _modes(lab, told)


def _unreached(held: list[str], noted: Any, updates: int) -> list[str]:
    """Without a gradient, or with exactly zero where their whole module has: the second direction
    of a recurrence read at its last position gives its recurrent weights alone none."""
    never = {n for n in held if noted.get(n, {}).get("zero", 0) >= updates > 0}
    alive = {n.rpartition(".")[0] for n in held if n not in never}
    none = {n for n in never if noted[n].get("none", 0) >= updates}
    return [n for n in held if n in none or (n in never and n.rpartition(".")[0] not in alive)]


def _without_experts(zero: list[str], alive: set[str]) -> list[str]:
    """All but those of a list's members where others of the list have a gradient: in a network
    that chooses among them, they were not chosen."""
    kinds = {_NUMBER.sub(".N", n) for n in alive}
    return [n for n in zero if not _NUMBER.search(n) or _NUMBER.sub(".N", n) not in kinds]


def _modes(lab: Lab, told: dict[str, Any]) -> Tested:
    if lab.subject.evaluating:
        return failed("evaluating", names=lab.subject.evaluating, code="EF805", **told)
    off = {
        name: n
        for name, n in lab.subject.norms.items()
        if n["seen"] >= SEEN and (n["shift"] > SHIFT or n["decades"] > DECADES)
    }
    if off:
        worst = max(off, key=lambda name: off[name]["shift"])
        told |= {"shift": off[worst]["shift"], "decades": off[worst]["decades"]}
        return failed("statistics", names=[worst, *(n for n in off if n != worst)], **told)
    losses = [lab.run(Change(mode=mode), 0).losses for mode in ("still", "eval")]
    if all(len(found) == 1 and math.isfinite(found[0]) for found in losses):
        still, evaluated = losses[0][0], losses[1][0]
        told |= {"training": still, "evaluation": evaluated}
        if abs(still - evaluated) > SAME * max(abs(still), 1e-12):
            return passed("modes-differ", **told)
    return passed("all-move", **told)


EXPERIMENT = Experiment(
    6,
    "every-parameter",
    N_("every parameter takes part"),
    {
        "no-parameters": N_("No parameter is trained."),
        "none-held": N_("The optimizer holds none of the model's {trained} trained parameters."),
        "left-out": N_("No optimizer holds {names}."),
        "twice": N_("{names} are held twice: each step moves them two times."),
        "no-gradient": N_("No gradient reaches {names}."),
        "unmoved": N_("{names} get a gradient, and no step moves them."),
        "none-moved": N_("No step moves any parameter."),
        "stale": N_("Gradients of earlier steps are still there when the next step begins."),
        "evaluating": N_("The model is in evaluation mode while it is trained: {names} are off."),
        "statistics": N_(
            "The statistics that {names} keep are not this data's: {shift} deviations off."
        ),
        "modes-differ": N_(
            "All {trained} trained parameters get a gradient and move. Training and evaluation "
            "modes differ by more than dropout ({training}, {evaluation})."
        ),
        "all-move": N_("All {trained} trained parameters get a gradient and move."),
    },
    {
        "none-held": N_("Build the optimizer from this model's parameters, after the model."),
        "left-out": N_("Hand over model.parameters(), or freeze with requires_grad_(False)."),
        "twice": N_("Give each parameter to one group of one optimizer."),
        "no-gradient": N_("Use it in the forward pass, or look for what cuts its way to the loss."),
        "unmoved": N_("Look at its group's rate."),
        "none-moved": N_("Look for a missing optimizer.step() and a rate of 0."),
        "stale": N_("Call optimizer.zero_grad() once a step, before the backward pass."),
        "evaluating": N_("Call model.train() before the loop, and again after each evaluation."),
        "statistics": N_("Scale the data as in the earlier training, or reset the statistics."),
    },
    test,
)
