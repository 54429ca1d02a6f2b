"""EF405: of two networks that play against each other, one has won."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .chance import SQUARED
from .series import Bools, Floats, Ints, median, ratio
from .view import View

#: The winner's loss over what it was at first, or a guess's (right 97 times of 100: .12).
WON = 0.1
#: Share of its updates at which it was so low; and from which on it is an error.
SHARE, MOST = 0.25, 0.5
#: The loser's loss over half of the winner's first one, which is what a fair game costs it.
LOST = 1.2
#: Or its gradient over the first ones, where a loss below 0 comes to 0 (log(1 - D)).
GONE = 0.1
#: Readings of each that tell.
FEWEST = 3
#: Losses whose floor is 0 once real and made-up samples are told apart: as functions, or by hand.
_JUDGES = frozenset(
    {"binary_cross_entropy", "binary_cross_entropy_with_logits", "soft_margin_loss"}
)
_BY_HAND = frozenset({"softplus", "logsigmoid", "log", "relu", "clamp", "clamp_min"})


class OneSidedGame(Rule):
    """A generator's adversary has won: there is nothing left to learn from it.

    ## What it means
    In a GAN the discriminator tells made-up samples from real ones without fail. Its loss is next
    to 0, and the generator's has only grown, or its gradient is gone.

    ## Why is this bad?
    A judge that is always right does not say in which direction to go: its slope between real and
    made-up samples is flat, or so steep that the generator is thrown about. Nothing good is made,
    however long it lasts.

    ## How it is measured
    The losses of two optimizers that take turns, one of whose networks feeds the other (a gradient
    flows from the judge into the generator). The judge's loss over its first readings', for the
    losses whose floor is 0: cross entropy of two classes, softplus, a logarithm, hinge, squares
    against constants. The generator's loss while the judge's was low, against half of the judge's
    first (that is what it costs where nobody wins); for log(1 - D), which falls to 0 from below,
    its gradient's norm. A critic's loss (WGAN) has no floor and is not spoken of, nor an actor and
    its critic, whose targets vary.

    ## Threshold
    The judge's loss below a tenth of its start's, or of a guess's, for a quarter of its updates,
    of which 3 were read, and the generator's loss above 1.2 times what is fair, or its gradient
    below a tenth.
    Measured on rings of 8 Gaussians, a shifted Gaussian and digits: healthy pairs (cross entropy,
    smoothed labels, hinge, squares, one judge's step or two) end at .6 to 1.1 of the judge's
    start, those where it learns 50 to 500 times as fast as the generator at 0 to .05. Error where
    it lasts for half of the training.

    ## What to do
    Bring both to like speeds: a lower rate for the discriminator, fewer of its steps a round;
    smooth its labels, add noise to its inputs or a penalty on its gradient; or take a loss that
    does not saturate (WGAN-GP).
    """

    code = "EF405"
    name = "one-sided-game"
    title = N_("The discriminator has won")
    sentence = N_("The discriminator has won, and the generator learns nothing from it{at}")
    link = N_("discriminator has won")
    labels = (
        EvidenceLabel("judge_loss", N_("discriminator's loss over its start"), "share"),
        EvidenceLabel("maker_loss", N_("generator's loss over that of a fair game")),
        EvidenceLabel("maker_gradient", N_("generator's gradient over that before"), "share"),
        EvidenceLabel("time_won", N_("share of its updates that it had won"), "share"),
    )
    stage = 125
    leads_to = (
        *("EF101", "EF102", "EF104", "EF201", "EF202", "EF203", "EF205", "EF206"),
        *("EF301", "EF302", "EF402", "EF403", "EF703"),
    )
    remedies = (
        Remedy(
            "Bring both to like speeds: a lower learning rate for the discriminator, one step of "
            "it for one of the generator."
        ),
        Remedy(
            "Hold the discriminator back: labels of .9 for real samples, noise on its inputs, "
            "spectral norm or a gradient penalty."
        ),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        whose = view.step("optimizer")
        seen = [int(k) for k in np.unique(whose[np.isfinite(whose)])]
        if len(seen) < 2 or not view.adversarial:
            return
        for judge in seen:
            if not _has_floor(view, judge):
                continue
            for maker in seen:
                if maker != judge and _feeds(view, maker, judge):
                    yield from self._game(view, _player(view, judge), _player(view, maker))

    def _game(self, view: View, judge: Player, maker: Player) -> Iterable[Finding]:
        # at birth it may be far worse than a guess
        start = min(float(judge.loss[:FEWEST].max(initial=0.0)), judge.fair)
        if len(judge.loss) < FEWEST or start <= 0 or judge.loss.min() < 0:
            return
        won = judge.loss <= WON * start
        share = float(ratio(np.array((judge.lasted * won).sum()), np.array(judge.lasted.sum())))
        beaten = _meanwhile(judge, won, maker)
        if won.sum() < FEWEST or share < SHARE or beaten.sum() < FEWEST:
            return
        fair = float(median(maker.loss[beaten])) / (start / 2)
        before = max(maker.grad[:FEWEST].max(), maker.grad[~beaten].max(initial=0.0))
        last = maker.grad[beaten][beaten.sum() // 2 :]
        gradient = float(median(ratio(last, before)))
        sinks = bool((maker.loss <= 0).all()) and gradient < GONE
        if fair < LOST and not sinks:
            return
        first = int(judge.steps[np.flatnonzero(won)[0]])
        yield self.finding(
            Severity.error if share >= MOST else Severity.warning,
            sites=judge.outputs,
            steps=(first, int(judge.steps[np.flatnonzero(won)[-1]])),
            evidence={
                "judge_loss": float(median(judge.loss[won])) / start,
                "maker_loss": float("nan") if sinks else fair,
                "maker_gradient": gradient if sinks else float("nan"),
                "time_won": share,
            },
            threshold={
                "judge_loss": WON,
                "maker_loss": LOST,
                "maker_gradient": GONE,
                "time_won": SHARE,
            },
        )


class Player(NamedTuple):
    """One optimizer's readings: [N] steps, losses and gradient norms, steps each stands for; the
    last layers of its network; the loss of a judge that cannot tell, of two terms."""

    steps: Ints
    loss: Floats
    grad: Floats
    lasted: Floats
    outputs: tuple[int, ...]
    fair: float


def _player(view: View, optimizer: int) -> Player:
    loss, grad = view.step("loss"), view.step("grad_norm")
    rows = np.flatnonzero((view.step("optimizer") == optimizer) & np.isfinite(loss + grad))
    steps = view.steps[rows]
    end = int(view.steps[-1]) + 1
    lasted = np.diff(np.append(steps, end)).astype(np.float64)
    own = _layers(view, optimizer)
    last = max((view.depth[i] for i in own), default=0)
    outputs = tuple(i for i in own if view.depth[i] == last)
    return Player(steps, loss[rows], grad[rows], lasted, outputs, _fair(view))


def _fair(view: View) -> float:
    """Of cross entropy 2 log 2; of squares against two constants what lies between them costs."""
    told = [view.target_of(i) for i in view.losses if view.sites[i].op in SQUARED]
    means = median(view.site("mean")[:, [t for t in told if t >= 0]])
    apart = float(np.ptp(means)) if len(means) > 1 else 0.0
    return apart**2 / 2 if apart > 0 else 2 * math.log(2)


def _layers(view: View, optimizer: int) -> tuple[int, ...]:
    """Sites that read what an optimizer holds."""
    return view.reading(p.name for p in view.run.params if p.optimizer == optimizer)


def _feeds(view: View, maker: int, judge: int) -> bool:
    """Does one optimizer's network put out what the other's reads, and not the other way round?"""
    a, b = _layers(view, maker), _layers(view, judge)
    return bool(view.ancestors(b) & set(a)) and not view.ancestors(a) & set(b)


def _has_floor(view: View, judge: int) -> bool:
    """Is the judge's loss one that is 0 once it is always right?"""
    after = view.descendants(_layers(view, judge))
    squares = [i for i in view.losses if view.sites[i].op in SQUARED]
    if squares:
        targets = [t for i in squares if (t := view.target_of(i)) >= 0]
        std = view.site("std")[:, targets]
        return bool(targets) and bool(np.isfinite(std).any()) and not (std > 0).any()
    if any(view.sites[i].op in _JUDGES for i in view.losses):
        return True
    return any(s.op in _BY_HAND and s.id in after and not s.root for s in view.sites)


def _meanwhile(judge: Player, won: Bools, maker: Player) -> Bools:
    """[N] of the maker's readings: those after a reading of the judge's at which it had won."""
    before = np.searchsorted(judge.steps, maker.steps) - 1
    return np.asarray((before >= 0) & won[np.maximum(before, 0)])
