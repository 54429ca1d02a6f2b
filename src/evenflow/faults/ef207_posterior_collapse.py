"""EF207: latents of a variational autoencoder that hold nothing of the sample."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .series import first_of_last_spell, holds_at_end, last_few
from .view import View

#: Share of latents whose mean hardly varies over samples.
IDLE = 0.95
#: Nats a latent that its distribution is away from a standard normal one.
NATS = 0.02
#: More nats than the fewest so far, and twice those: the latents are being taken up.
RISING = 0.001
#: Readings that tell, and updates: the first of them find every latent idle now and then.
FEWEST, UPDATES = 5, 150


class PosteriorCollapse(Rule):
    """The latents of a variational autoencoder have become mere noise: its posterior is the prior.

    ## What it means
    z = μ + σ·ε is drawn with μ ≈ 0 and σ ≈ 1 for every sample: nothing of the sample is in it. The
    KL term is at zero, and the decoder makes the same of all samples, the mean of the data.

    ## Why is this bad?
    Nothing can be encoded, and what is generated has no variety. Most often the KL term outweighs
    the reconstruction: one summed over latents, the other a mean over pixels. Sources: Bowman et
    al. 2015 (arXiv:1511.06349, section 3.1: KL annealing), Lucas et al. 2019 (arXiv:1911.02469).

    ## How it is measured
    Where a sum takes μ and a product of a computed σ with standard normal noise of the same shape
    (written by hand or by `rsample`): the share of latents whose μ varies by less than .01 over
    samples (the inactive units of Burda et al. 2016, arXiv:1509.00519, section 5), and the mean of
    (μ² + σ² - 1 - ln σ²) / 2, in nats a latent.

    ## Threshold
    95 % of latents idle and less than .02 nats a latent, in the last three readings of five or
    more, the nats no longer rising, after 150 updates: some idle latents are how a model prunes
    itself. Calibrated on digits (4 to 32 latents, four ways to write them, 300 steps, seeds 100 and
    101): healthy ones end with 0 to 6 % idle and .04 nats or more, though with 32 latents all are
    idle between steps 16 and 64; where the KL term outweighs the rest, all are idle and .001 nats
    are left. In RL a policy's noise is no latent unless it is a standard normal's in every state.

    ## What to do
    Sum the reconstruction over pixels as the KL term is summed over latents, or give that a smaller
    weight; raise the weight from 0 over the first epochs (KL annealing); free bits.
    """

    code = "EF207"
    name = "posterior-collapse"
    title = N_("Posterior collapse")
    sentence = N_("Latents hold nothing of the sample{at}")
    means = N_("the decoder does without them")
    link = N_("posterior collapsed")
    labels = (
        EvidenceLabel("idle", N_("latents that hold nothing"), "share"),
        EvidenceLabel("nats", N_("information a latent holds (nats)")),
        EvidenceLabel("latents", N_("latents"), fact=True),
    )
    stage = 107
    leads_to = (*("EF101", "EF104", "EF202", "EF205", "EF301", "EF401", "EF404", "EF812"),)
    overrules = True
    remedies = (
        Remedy(
            "Let the reconstruction loss be a sum over pixels and a mean over samples, as the KL "
            "term is, or weigh the KL term less (0.1 and below to begin with).",
            then=N_("Raise its weight from 0 over the first epochs (KL annealing)."),
        ),
        Remedy("Leave each latent some nats free of charge (free bits): kl.clamp(min=0.1).sum()."),
    )

    def check(self, view: View) -> Iterable[Finding]:
        idle, nats = view.while_sound("latent_idle"), view.while_sound("latent_kl")
        known = ~np.isnan(idle)
        fewest = np.fmin.accumulate(nats, axis=0)
        bad = (idle >= IDLE) & (nats <= np.fmin(NATS, 2 * fewest + RISING))
        held = holds_at_end(bad, known, 3) & (known.sum(axis=0) >= FEWEST)
        for site in map(int, np.flatnonzero(held)):
            if site not in view.trunk or view.at(np.flatnonzero(known[:, site])[-1]) < UPDATES:
                continue
            shape = view.sites[site].shape
            row = first_of_last_spell(bad[:, site], known[:, site])
            yield self.finding(
                Severity.warning,
                sites=(site,),
                steps=view.over([row, view.ruin - 1]),
                evidence={
                    "idle": float(last_few(idle)[site]),
                    "nats": float(last_few(nats)[site]),
                    "latents": float(shape[1] if len(shape) > 3 else shape[-1]),
                },
                threshold={"idle": IDLE, "nats": NATS},
            )
