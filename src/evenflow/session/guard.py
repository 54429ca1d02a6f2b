"""The guard: no non-finite gradient reaches the weights unnoticed, and its origin is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ..lang import _
from ..schema import Event
from ..tape import Recorder, local, mute, of_optimizer, unheard, watch_calls
from .hiding import Hidden
from .misses import run
from .replay import Held, hold, replay
from .saying import say

if TYPE_CHECKING:
    from .conductor import Conductor

MODES = ("report", "skip", "stop")


class NonFiniteError(FloatingPointError):
    """Raised before an update that would have put NaN or Inf into the weights."""


class Origin(NamedTuple):
    """Where non-finite values arise: a site, or the loss or backward, and what is known of it."""

    where: str  # "forward", "input", "loss", "backward", "unknown"
    site: int | None
    text: str


class Guard:
    """One grouped finite check before every update.

    "report" writes an event with the origin; "skip" also leaves the update out, by taking the
    gradients away until it is over, so that weights and optimizer state stay as they are; "stop"
    raises `NonFiniteError` before the update. The check waits for the device once a step.

    Args:
        mode: "report", "skip" or "stop".
        keep_batch: file to which the first offending root inputs are saved (torch.save); None
            keeps nothing, since data may be private.
    """

    def __init__(self, mode: str, keep_batch: Path | None = None) -> None:
        if mode not in MODES:
            raise ValueError(
                f"on_nonfinite must be one of {', '.join(MODES)} or None, not {mode!r}"
            )
        self.mode, self.keep_batch = mode, keep_batch
        self.skipped = False
        self.found: tuple[Origin, list[str]] | None = None  # by the latest check: parameters
        self.hidden = Hidden()
        self.held: dict[int, Held] = {}
        self.at_first: Callable[[], None] | None = None  # called before the first call held
        self._undo: Callable[[], None] | None = None
        self._told = 0
        self._message = ""  # of the latest check

    def check(self, conductor: Conductor, optimizer: torch.optim.Optimizer) -> None:
        """Look at the gradients of one optimizer. Raises NonFiniteError in mode "stop"."""
        self.skipped, self.found = False, None
        self._message = ""
        where = "guarding against non-finite gradients"
        run(self._check, (conductor, optimizer), conductor.fail, self._recorder, where)
        if self.mode == "stop" and self._message:
            raise NonFiniteError(self._message)

    def _check(self, conductor: Conductor, optimizer: torch.optim.Optimizer) -> None:
        params = of_optimizer(optimizer)
        if _all_finite([p.grad for p in params if p.grad is not None]):
            self.held.clear()
            return
        origin, bad = self.found = self._find(conductor, params)
        self._message = self._tell(conductor, origin, bad)
        if self.mode == "skip":
            self.hidden.take(params)
            self.skipped = True
        self.held.clear()

    def put_right(self) -> None:
        """An error of the user's struck: what was hidden for an update is given back."""
        self.hidden.give_back()
        self.held.clear()
        self.skipped = False

    def open(self, recorder: Recorder) -> None:
        """Hold by reference what each root module is called with, from its next call on.

        By the process-wide door: a hook of ours on the user's module would be pickled with it.
        """
        self._recorder = recorder
        recorder.when_struck.append(self.put_right)
        self._undo = watch_calls(self)

    def close(self) -> None:
        """Hold nothing more."""
        if self._undo is not None:
            self._undo()
            self._undo = None
        self.hidden.give_back()
        self.held.clear()

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is called (`calling.Door`): keep a root's arguments if it is a training call."""
        if torch.is_grad_enabled() and any(r() is module for r in self._recorder.catalogue.roots):
            self._recorder.sure("holding a call", "", self._hold, module, args, kwargs)

    def _hold(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        with unheard():
            if not self.held and self.at_first is not None:
                self.at_first()
            self.held[id(module)] = hold(module, args, kwargs)

    def leave(self, module: nn.Module, args: tuple[Any, ...], token: None) -> None:
        """The call ended."""

    def _find(self, conductor: Conductor, params: list[Tensor]) -> tuple[Origin, list[str]]:
        catalogue = conductor.recorder.catalogue
        bad = [
            catalogue.params[catalogue.add_param(p)].name
            for p in params
            if p.grad is not None and not bool(torch.isfinite(p.grad).all())
        ]
        if not self.held:
            why = _("the guard had not yet seen a call of the model, so nothing could be replayed")
            return Origin("unknown", None, why), bad
        for held in self.held.values():
            site = conductor.alone(replay, held, catalogue)
            if site is not None:
                s = catalogue.sites[site]
                if s.kind == "input":
                    text = _("the data given to {model} is not finite").format(model=s.root)
                    return Origin("input", site, text), bad
                text = _("finite inputs, non-finite output at {site}").format(site=s.name)
                return Origin("forward", site, text), bad
        loss = conductor.losses.latest
        if loss is not None and not bool(torch.isfinite(loss).all()):
            text = _("arises in the loss ({ops}): the model's own forward is finite")
            text = text.format(ops=conductor.losses.ops)
            return Origin("loss", None, text), bad
        site = _backward_site(conductor)
        if site is not None:
            text = _("arises in the backward at {place}: loss and forward are finite")
            text = text.format(place=catalogue.sites[site].name)
        elif after := _between(bad, catalogue):
            text = _("arises in the backward at or after {place}: loss and forward are finite")
            text = text.format(place=after)
        else:
            text = _("arises in the backward: loss and forward are finite")
        return Origin("backward", site, text), bad

    def _tell(self, conductor: Conductor, origin: Origin, bad: list[str]) -> str:
        detail = {
            "where": origin.where,
            "site": origin.site,
            "origin": origin.text,
            "params": bad[:20],
            "count": len(bad),
            "did": self.mode,
        }
        conductor.writer.event(Event("nonfinite", conductor.step, detail))
        conductor.cadence.alert()
        message = _(
            "step {step}: the gradient of {count} parameter(s) is NaN or Inf ({names}); {origin}"
        ).format(
            step=conductor.step,
            count=len(bad),
            names=", ".join(bad[:3]) + (", ..." if len(bad) > 3 else ""),
            origin=origin.text,
        )
        kept = self.save(conductor.step)
        if kept is not None:
            message = _("{message}; batch kept in {path}").format(message=message, path=kept)
        self._told += 1
        if self._told <= 3 and self.mode != "stop":
            said = message
            if self.mode == "skip":
                said = _("{message}; the update is left out").format(message=message)
            say(said)
        return message

    def save(self, step: int) -> Path | None:
        """Save what the models were called with, if that was asked for and not done yet."""
        path = self.keep_batch
        if path is None or not self.held:
            return None
        saved = [{"args": h.args, "kwargs": h.kwargs, "rng": h.rng} for h in self.held.values()]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"step": step, "calls": saved}, path)
        self.keep_batch = None
        return path


def _all_finite(grads: list[Tensor]) -> bool:
    """One grouped check. Norms first (a tenth of isfinite's cost), isfinite if one overflowed."""
    dense = [local(g).detach() for g in grads]
    dense = [g.coalesce().values() if g.is_sparse else g for g in dense if not mute(g)]
    dense = [g for g in dense if g.numel()]
    if not dense:
        return True
    with torch.no_grad():
        total = torch.stack(
            [n.float().to(dense[0].device) for n in torch._foreach_norm(dense)]
        ).sum()
        if bool(torch.isfinite(total)):
            return True
        return all(bool(torch.isfinite(g).all()) for g in dense)


def _backward_site(conductor: Conductor) -> int | None:
    """On a sampled step the tape saw it: the site nearest the loss that sends back a bad delta."""
    bad = {
        c.id
        for c, v in conductor.recorder.slab.values()
        if c.metric == "delta_nonfinite" and float(v) > 0
    }
    sites = conductor.recorder.catalogue.sites
    good_above = [s for s in bad if not any(s in t.inputs for t in sites if t.id in bad)]
    makers = [t.id for t in sites if t.id not in bad and any(g in t.inputs for g in good_above)]
    return max(makers) if makers else None


def _between(bad: list[str], catalogue: Any) -> str:
    """Off a sampled step: between the last layer with a finite gradient and the first without."""
    order = [p for s in catalogue.sites for p in s.params]
    wrong = [p for p in order if p in set(bad)]
    return wrong[-1] if wrong else ""
