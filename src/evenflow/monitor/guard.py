"""The guard: no non-finite gradient reaches the weights unnoticed, and its origin is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..lang import _
from ..schema import Event
from ..tape import Recorder, SiteRegistry, local, mute, of_optimizer, unheard, watch_calls
from .hiding import Hidden
from .misses import run
from .processes import ranks
from .replay import Found, Held, hold, replay, where
from .saying import say
from .watched import WatchedTraining

MODES = ("report", "skip", "stop")


class NonFiniteError(FloatingPointError):
    """Raised before an update that would have put NaN or Inf into the weights."""


class Origin(NamedTuple):
    """Where non-finite values arise: a site, or the loss or backward, and what is known of it."""

    # "forward", "input", "loss", "backward", "update", "weights" (from the start), "after" (an
    # earlier step put it into the weights), "unknown"
    where: str
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
        self._passed = False  # has an update with finite gradients been seen?
        self._spoilt = False  # has one with others been let through?

    def check(self, training: WatchedTraining, optimizer: torch.optim.Optimizer) -> None:
        """Look at the gradients of one optimizer. Raises NonFiniteError in mode "stop"."""
        self.skipped, self.found, self._message = False, None, ""
        where = "guarding against non-finite gradients"
        run(self._check, (training, optimizer), training.fail, self._recorder, where)
        if self.mode == "stop" and self._message:
            raise NonFiniteError(self._message)

    def _check(self, training: WatchedTraining, optimizer: torch.optim.Optimizer) -> None:
        params = of_optimizer(optimizer)
        if _all_finite([p.grad for p in params if p.grad is not None]):
            self.held.clear()
            self._passed, self._spoilt = True, False
            return
        origin, bad = self.found = self._find(training, params)
        self._message = self._tell(training, origin, bad)
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
        if self._undo is not None:
            self._undo()
            self._undo = None
        self.put_right()

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is called (`calling.Door`): keep a root's arguments if it is a training call."""
        for ref in self._recorder.registry.roots:
            if ref() is module and torch.is_grad_enabled():
                self._recorder.sure("holding a call", "", self._hold, module, args, kwargs)
                return

    def _hold(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        with unheard():
            if not self.held and self.at_first is not None:
                self.at_first()
            self.held[id(module)] = hold(module, args, kwargs)

    def leave(self, module: nn.Module, args: tuple[Any, ...], token: None) -> None:
        """The call ended."""

    def _find(self, training: WatchedTraining, params: list[Tensor]) -> tuple[Origin, list[str]]:
        """Where it arose, and which parameters it has come to."""
        registry = training.recorder.registry
        # Of this optimizer and of every model called: another's may have been lost.
        called = [p for h in self.held.values() for p in h.module.parameters()]
        weights = {id(p): p for p in (*params, *called)}.values()
        lost = _names(registry, [p for p in weights if not _finite(p)])
        if lost:
            return self._by_weights(), lost
        self._spoilt = self.mode == "report"  # this update will put it into the weights
        bad = _names(registry, [p for p in params if p.grad is not None and not _finite(p.grad)])
        return self._by_replay(training) or self._by_backward(training, bad), bad

    def _by_weights(self) -> Origin:
        if self._spoilt:
            return Origin("after", None, _("the weights are not finite since the first such step"))
        if not self._passed:
            text = _("the weights were not finite before the first update that was looked at")
            return Origin("weights", None, text)
        text = _(
            "the weights are not finite, of finite gradients: made so by the update before, or "
            "between the two"
        )
        return Origin("update", None, text)

    def _by_replay(self, training: WatchedTraining) -> Origin | None:
        """The forward again, then what the tape read of the rest, then the loss."""
        registry, recorder = training.recorder.registry, training.recorder
        given = ""
        for held in self.held.values():
            found = training.alone(replay, held, registry)
            if found is None:
                continue
            if found.how == "between":
                given = given or found.op
                continue
            return _origin(found, registry, held)
        read = where(recorder, registry)[0] if recorder.recording else None
        if read is not None:
            return _origin(Found("forward", read), registry, None)
        if given:
            text = _(
                "arises between two models, in {op} or before it: their own forwards are sound"
            )
            return Origin("unknown", None, text.format(op=given))
        loss = training.losses.latest
        if loss is None or _finite(loss):
            return None
        if not self.held:
            why = _("the guard had not yet seen a call of the model, so nothing could be replayed")
            return Origin("unknown", None, why)
        text = _("arises in the loss ({ops}): the model's own forward is finite")
        return Origin("loss", None, text.format(ops=training.losses.ops))

    def _by_backward(self, training: WatchedTraining, bad: list[str]) -> Origin:
        registry, recorder = training.recorder.registry, training.recorder
        site = where(recorder, registry)[1] if recorder.recording else None
        # Of several processes only those whose own loss is finite come here, and a forward may
        # wait for all of them (DDP's buffers, shards): one that the others do not run would hang.
        alone = ranks()[1] == 1
        for held in self.held.values() if alone else ():
            if site is not None:
                break
            found = training.alone(replay, held, registry, True)
            site = None if found is None else found.site
        if site is not None:
            text = _("arises in the backward at {place}: loss and forward are finite")
            return Origin("backward", site, text.format(place=registry.sites[site].name))
        # Off a sampled step: between the last layer with a finite gradient and the first without.
        wrong = [p for s in registry.sites for p in s.params if p in bad]
        if wrong:
            text = _("arises in the backward at or after {place}: loss and forward are finite")
            return Origin("backward", None, text.format(place=wrong[-1]))
        text = _("arises in the backward: loss and forward are finite")
        return Origin("backward", None, text)

    def _tell(self, training: WatchedTraining, origin: Origin, bad: list[str]) -> str:
        detail = {
            "where": origin.where,
            "site": origin.site,
            "origin": origin.text,
            "params": bad[:20],
            "count": len(bad),
            "did": self.mode,
        }
        training.writer.event(Event("nonfinite", training.step, detail))
        training.cadence.alert()
        message = _(
            "step {step}: the gradient of {count} parameter(s) is NaN or Inf ({names}); {origin}"
        ).format(
            step=training.step,
            count=len(bad),
            names=", ".join(bad[:3]) + (", ..." if len(bad) > 3 else ""),
            origin=origin.text,
        )
        kept = self.save(training.step)
        if kept is not None:
            message = _("{message}; batch kept in {path}").format(message=message, path=kept)
        self._told += 1
        if self._told <= 3 and self.mode != "stop":
            left_out = _("{message}; the update is left out").format(message=message)
            say(left_out if self.mode == "skip" else message)
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
        norms = [n.float().to(dense[0].device) for n in torch._foreach_norm(dense)]
        if math.isfinite(torch.stack(norms).sum().item()):
            return True
        return all(map(_finite, dense))


def _origin(found: Found, registry: SiteRegistry, held: Held | None) -> Origin:
    """What a replay or the tape has found, in words."""
    place = "" if found.site is None else registry.sites[found.site].name
    if found.how == "input" and held is not None:
        text = _("the data given to {model} is not finite")
        return Origin("input", found.site, text.format(model=registry.add_root(held.module).root))
    if found.how == "outside":
        text = _("{site} reads a buffer or attribute that is not finite")
    else:
        text = _("finite inputs, non-finite output at {site}")
    if found.site is not None and not registry.sites[found.site].root:
        text = _("arises in the loss at {site}: the model's own forward is finite")
        return Origin("loss", found.site, text.format(site=place))
    return Origin("forward", found.site, text.format(site=place))


def _finite(t: Tensor) -> bool:
    x = local(t.detach())
    x = x.coalesce().values() if x.is_sparse else x
    return bool(torch.isfinite(x).all())


def _names(registry: SiteRegistry, params: list[Tensor]) -> list[str]:
    return [registry.params[registry.add_param(p)].name for p in params]
