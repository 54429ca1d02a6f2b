"""What heal did, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..lang import N_, _, ngettext, whole
from ..network import by_key
from ..schema import Intervention
from .figures import number, share

#: Each treatment by its name in `schema.HEALS`.
KINDS = {
    "clip": N_("gradient clipped"),
    "skip": N_("update left out"),
    "rollback": N_("rolled back"),
    "revive": N_("units revived"),
    "lr": N_("learning rate lowered"),
}
#: Why, by `Intervention.reason`.
REASONS = {
    "outlier-gradient": N_("its norm was far beyond all recent ones"),
    "outlier-statistics": N_("they would have gone far beyond all recent ones"),
    "non-finite-gradient": N_("it would have put NaN or Inf into the weights"),
    "loss-diverged": N_("the loss had diverged"),
    "non-finite-on-end": N_("one gradient after another was NaN or Inf"),
    "another-loss": N_("the loss has changed, not the weights"),
    "dead-units": N_("no batch switched them on any more"),
    "units-killed": N_("units that were alive had died, at a rate found too high before"),
    "no-better": N_("the loss stayed where it began, at a rate found too high before"),
    "killed": N_("it had led to a roll-back before, and now it killed units"),
    "died-again": N_("revived units died again"),
}
#: By kind, or by a reason that has figures of its own.
_SAID = {
    "clip": N_("norm {before} → {after} (the limit was {limit})"),
    "outlier-statistics": N_("moved by {moved}, put back (the limit was {limit})"),
    "skip": N_("{parameters} parameter(s) with NaN or Inf; {note}"),
    "rollback": N_("to step {from_step}; loss {before} → {after}"),
    "revive": N_("{units} units, {dead} of the layer, silent on {batches} batches"),
    "lr": N_("{before} → {after}"),
}
#: The value of `before` and `after` that tells the most.
MAIN = {
    "clip": "grad_norm",
    "skip": "grad_norm",
    "rollback": "loss",
    "revive": "dead",
    "lr": "lr",
}


def kind(done: Intervention) -> str:
    """What was done, in two words."""
    if done.reason == "another-loss":
        return _("learning rate raised again")
    if done.reason == "outlier-statistics":
        return _("running statistics put back")
    return _(KINDS.get(done.kind, done.kind))


def reason(done: Intervention) -> str:
    """Why, as a clause."""
    return _(REASONS[done.reason]) if done.reason in REASONS else done.reason


def particulars(done: Intervention) -> str:
    """The figures, before and after; "" for a kind unknown."""
    if done.kind not in _SAID:
        return ""
    main = MAIN[done.kind]
    from_step = done.after.get("from_step", math.nan)
    said = _(_SAID.get(done.reason, _SAID[done.kind])).format(
        moved=number(done.before.get("moved", math.nan)),
        before=number(done.before.get(main, math.nan)),
        after=number(done.after.get(main, math.nan)),
        limit=number(done.evidence.get("limit", math.nan)),
        parameters=number(done.evidence.get("parameters", math.nan)),
        note=done.note,
        from_step=whole(int(from_step)) if math.isfinite(from_step) else "?",
        units=number(done.before.get("units", math.nan)),
        dead=share(done.before.get("dead", math.nan)),
        batches=number(done.evidence.get("batches", math.nan)),
    )
    return said.rstrip("; ")


def healed(done: Intervention) -> str:
    """One sentence: "step 120: gradient clipped at head.weight: norm 3.1e5 → 1.2 ..."."""
    where = _("{what} at {place}").format(what=kind(done), place=done.site) if done.site else ""
    return _("step {step}: {what}, for {reason}: {particulars}").format(
        step=whole(done.step),
        what=where or kind(done),
        reason=reason(done),
        particulars=particulars(done),
    )


def summaries(done: Sequence[Intervention]) -> list[str]:
    """One sentence for each kind of intervention, in order of first appearance."""
    said = []
    for what, some in by_key(done, kind).items():
        first, last = whole(some[0].step), whole(some[-1].step)
        if len(some) == 1:
            said.append(healed(some[0]))
            continue
        times = ngettext("{count} time", "{count} times", len(some)).format(count=len(some))
        said.append(
            _(
                "steps {first} to {last}: {what} {times}, for {reason}; at last {particulars}"
            ).format(
                first=first,
                last=last,
                what=what,
                times=times,
                reason=reason(some[-1]),
                particulars=particulars(some[-1]),
            )
        )
    return said
