"""What both reports say of a run and its findings, free of any markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..faults import Asked, View, faults, unread
from ..lang import N_, _, ngettext, sentences, whole
from ..schema import Finding, Run, Severity, Site, bare_name, damaged_rows, verdict
from ..words import Network, advice, cause, label, number, share, title, write
from .layers import cost, now
from .network import network_of

#: Of a training of seconds the cost is told in seconds: a share of little, up to these.
_MUCH, _MOMENT = 0.1, 2.0
#: Roles of a chain's links as its timeline heads them.
_ROLES = {"cause": N_("cause"), "event": N_("then"), "end": N_("end")}
#: Each verdict.
_VERDICTS = {
    "unjudged": N_("Not judged"),
    "no-fault": N_("Filtered"),
    "healthy": N_("Healthy"),
    "warning": N_("Warning"),
    "sick": N_("Sick"),
}
#: Why there is no verdict, by `Run.unjudged`.
_UNJUDGED = {
    "unsampled": N_("Nothing was measured: sampling was off."),
    "no-steps": N_("Nothing was measured: no training step was seen."),
    "not-sampled": N_("Nothing was measured: steps were counted, and no step could be sampled."),
    "no-sites": N_("Steps were counted, and nothing in them could be read."),
    "not-moved": N_("Nothing moved: gradients were read, and no update changed a weight."),
    "few-samples": N_(
        "Too few steps were measured to call it healthy: {samples} of {steps}. Measure every N-th "
        "(--every N) or, in a training of minutes, allow more time for it (--budget)."
    ),
}
#: What a loss is that measures no progress, by `faults.View.objective`.
_OBJECTIVES = {
    "adversarial": N_("losses that pull against each other (GAN) measure no progress"),
    "policy-gradient": N_("a policy gradient's loss measures no progress"),
    "contrast": N_("a difference of one network's outputs (energy, critic) has no floor"),
    "sign-changing": N_("it goes through zero to and fro, so it has no floor"),
    "moving-target": N_("its targets move as the network learns"),
}


def headline(run: Run, findings: Sequence[Finding], asked: Asked | None = None) -> tuple[str, str]:
    """The verdict as a word, and what stands behind it as a sentence."""
    found = verdict(findings, run, partial=asked is not None)
    word = _(_VERDICTS[found])
    if found == "unjudged":
        why = _(_UNJUDGED[run.unjudged])
        return word, why.format(samples=whole(len(run.steps)), steps=whole(run.counted))
    objective = View(run).objective
    apart = ""
    if objective:
        apart = _("The loss was not judged: {why}.").format(why=_(_OBJECTIVES[objective]))
    text = (_standing(found, findings, asked, bool(apart)), apart, *blind(run))
    return word, sentences(filter(None, text))


def blind(run: Run) -> list[str]:
    """A sentence on layers that could not be read, and so were not judged; or none."""
    known = unread(run)
    if not known.outputs:
        return []
    counts = {"count": whole(known.outputs), "all": whole(known.layers)}
    if not known.errors:
        text = _(
            "What {count} of {all} layers put out could not be read (TorchScript, or other code "
            "that Python does not see): whether signals collapse, saturate or die there was not "
            "judged, only gradients and updates were."
        )
    else:
        text = _(
            "{count} of {all} layers could not be looked into (TorchScript, or other code that "
            "Python does not see): they were judged by the gradients and updates of their weights "
            "alone, in the order in which the model lists them; what they put out was not judged."
        )
    return [text.format(**counts)]


def _standing(
    found: str, findings: Sequence[Finding], asked: Asked | None, layers_only: bool
) -> str:
    """What was found, counted; or what may be claimed where nothing was."""
    if found == "no-fault" and asked is not None:
        text = asked.said
        return _("{sentence}.").format(sentence=text[:1].upper() + text[1:])
    errors, warnings, notes = (
        sum(f.severity == severity for f in findings)
        for severity in (Severity.error, Severity.warning, Severity.info)
    )
    texts = {
        ngettext("{count} error", "{count} errors", errors): errors,
        ngettext("{count} warning", "{count} warnings", warnings): warnings,
        ngettext("{count} note", "{count} notes", notes): notes,
    }
    counts = [text.format(count=count) for text, count in texts.items() if count]
    if not counts and layers_only:
        return _("No fault was found in the layers: every one learns.")
    if not counts:
        return _("No fault was found: every layer learns.")
    if asked is not None:
        text = _("{count} of {all} rules asked")
        counts.append(text.format(count=len(asked.codes), all=asked.all))
    bad = [f for f in findings if f.severity > Severity.info]
    apart = [root for root, _followed in faults(findings) if root.severity > Severity.info]
    if bad and len(apart) < len(bad):
        # Translators: {counts} is "1 error, 2 warnings"
        text = ngettext("{counts}: one fault.", "{counts}: {n} faults.", len(apart))
        return text.format(counts=_(", ").join(counts), n=len(apart))
    return _("{counts}.").format(counts=_(", ").join(counts))


def severity(finding: Finding) -> str:
    """How bad, in a word."""
    return {"error": _("error"), "warning": _("warning"), "info": _("info")}[finding.severity.name]


def facts(run: Run) -> list[tuple[str, str]]:
    """What the run was, in a few figures: (name, value)."""
    out = []
    if len(run.steps):
        last = int(run.steps[-1])
        if len(run.curve_steps):
            last = max(last, int(run.curve_steps[-1]))
        out.append((_("Steps"), whole(last + 1)))
        at = ngettext("{count} step", "{count} steps", len(run.steps))
        out.append((_("Measured at"), at.format(count=whole(len(run.steps)))))
    known = np.flatnonzero(np.isfinite(run.curve_loss))
    if len(known):
        first, end = run.curve_loss[known[0]], run.curve_loss[known[-1]]
        out.append((_("Loss"), f"{number(first)} → {number(end)}"))
    if run.sites:
        out.append((_("Sites"), whole(len(run.sites))))
    if run.params:
        out.append((_("Weights"), whole(sum(p.size for p in run.params))))
    spent, own = cost(run), run.meta.get("spent")
    if spent is not None:
        told = _("{share} of time").format(share=share(spent))
        if spent > _MUCH and isinstance(own, (int, float)) and 0 < own < _MOMENT:
            told = _("{seconds} s").format(seconds=number(round(own, 1)))  # of next to no time
        out.append((_("Cost of watching"), told))
    for event in run.events:
        if event.kind == "note" and event.detail.get("shown"):
            out.append((_("Note"), str(event.detail.get("text", ""))))
    return out


def evidence(finding: Finding) -> list[tuple[str, str, str]]:
    """What was measured against what: (label, value, threshold or ""), judged numbers first."""
    keys = [k for k in finding.threshold if k in finding.evidence]
    keys += [k for k in finding.evidence if k not in finding.threshold]
    rows = []
    for key in keys:
        called = label(key, finding.code)
        limit = finding.threshold.get(key)
        shown = "" if limit is None else write(limit, called.form)
        rows.append((_(called.text), write(finding.evidence[key], called.form), shown))
    return rows


def chain(finding: Finding, run: Run) -> list[tuple[str, str, str, str]]:
    """Cause, event, end state in order: (role, what, when or "", site's name or "")."""
    out = []
    for link in finding.chain:
        if not link.what:
            continue
        what = title(link.what) if link.what.startswith("EF") else cause(link.what)
        when = "" if link.step is None else _("step {step}").format(step=whole(link.step))
        known = link.site is not None and 0 <= link.site < len(run.sites)
        where = names(run, [run.sites[link.site]])[0] if known and link.site is not None else ""
        role = _(_ROLES[link.role]) if link.role in _ROLES else link.role
        out.append((role, what[:1].upper() + what[1:], when, where))
    return out


def remedies(finding: Finding, run: Run, network: Network | None = None) -> list[str]:
    """Advice that fits the run's network, in words; what `treat_` takes is in `treatments`.

    `network` spares who asks for many findings of a run to have it looked at for each.
    """
    return advice(finding, network or network_of(run))


def when(finding: Finding) -> str:
    """ "step 0 to 1,200", or "step 5"."""
    first, last = finding.first_step, finding.last_step
    if first == last:
        return _("step {step}").format(step=whole(first))
    return _("step {first} to {last}").format(first=whole(first), last=whole(last))


class HasSites(Protocol):
    """A run, whole or as far as it was read."""

    @property
    def sites(self) -> Sequence[Site]: ...


def names(run: HasSites, sites: Sequence[Site]) -> list[str]:
    """Names of many sites at once, without the root where all sites of the run have the same."""
    if len({site.root for site in run.sites if site.root}) > 1:
        return [site.name for site in sites]
    return [bare_name(site) for site in sites]


def profile(run: Run, sites: Sequence[Site]) -> list[float]:
    """log10 of the latest rms of δ by site; -inf where it is 0, inf where it is not finite."""
    out = []
    for site in sites:
        value = now(run, site.id, "delta")
        out.append(float("-inf") if value == 0 else float(np.log10(value)))
    return out


def damage(run: Run) -> str:
    """What was left out of a damaged file, in a sentence; "" if nothing was."""
    rows = damaged_rows(run)
    if not rows:
        return ""
    kinds = {
        "meta": _("facts of the run"),
        "site": _("sites"),
        "param": _("parameters"),
        "layout": _("layouts"),
        "reading": _("readings"),
        "curve": _("stretches of the loss curve"),
        "event": _("events"),
        "finding": _("findings"),
        "log": _("log (-wal), whose end is lost"),
    }
    tables = ", ".join(f"{count} {kinds.get(table, table)}" for table, count in rows.items())
    text = ngettext(
        "The file is damaged: {count} row of it does not match its checksum and is left out "
        "({rows}).",
        "The file is damaged: {count} rows of it do not match their checksums and are left out "
        "({rows}).",
        sum(rows.values()),
    )
    return text.format(count=sum(rows.values()), rows=tables)
