"""Where a script makes and trains its models: one run to its first updates, for the patch.

`python -m evenflow.trial.survey JOB.json`, as `child` is run. The treatments of the job are
applied one after the other to the model of the first training forward, and what each finds is
written down with the lines that made the model and the optimizers; `survey.json` beside the job.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from ..patching import KnownOptimizer, KnownRoot, KnownTraining
from ..schema import parse_treatments
from ..treatments import Spot, in_order, known_as_json, read, spots
from .child import Attempt, attempt_of

#: After so many updates an optimizer that has not stepped yet is waited for no longer.
ENOUGH = 20


def main(path: Path) -> int:
    attempt = attempt_of(path)
    return attempt.run(Survey(attempt))


class Survey:
    """The guest of an attempt that notes lines and models."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.text = attempt.job.treatments
        self.folder = os.path.realpath(attempt.program.folder)
        self.roots: list[tuple[Any, KnownRoot]] = []
        self.optimizers: dict[int, _Seen] = {}
        self.backward: list[Spot] = []
        self.updates = 0
        self.told = False

    def begin(self) -> None:
        """Torch has arrived: hang what notes."""
        import torch
        from torch.optim import lr_scheduler
        from torch.optim.optimizer import (
            register_optimizer_step_post_hook,
            register_optimizer_step_pre_hook,
        )

        from ..treatments import MadeLines
        from .injection import Injection

        self.injection = Injection(
            "survey", self._know, refused=lambda e: self._end("refused", str(e))
        )
        self.made = MadeLines(self.folder)
        self.made.watch()
        after(torch.optim.Optimizer, "__init__", self._optimizer)
        base = getattr(lr_scheduler, "LRScheduler", None) or lr_scheduler._LRScheduler
        for cls in {base, lr_scheduler.ReduceLROnPlateau}:
            after(cls, "__init__", self._scheduler)
        before(torch.Tensor, "backward", self._backward)
        register_optimizer_step_pre_hook(self._steps)
        register_optimizer_step_post_hook(self._stepped)

    def ended(self, error: BaseException | None) -> None:
        """The script is over: what was seen is kept."""
        self._write()

    def _optimizer(self, optimizer: Any, *_: Any) -> None:
        if id(optimizer) not in self.optimizers and self.injection.knows(optimizer):
            self.optimizers[id(optimizer)] = _Seen(
                optimizer, spots(self.folder), visible_models(self.folder)
            )

    def _scheduler(self, scheduler: Any, optimizer: Any = None, *_: Any) -> None:
        seen = self.optimizers.get(id(optimizer or getattr(scheduler, "optimizer", None)))
        if seen is not None:
            seen.scheduled = type(scheduler).__name__

    def _backward(self, *_: Any) -> None:
        self.backward = self.backward or spots(self.folder)

    def _steps(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        seen = self.optimizers.get(id(optimizer))
        if seen is not None and not seen.stepped:
            seen.stepped = spots(self.folder)
            seen.step_models = visible_models(self.folder)
            seen.scaler = _below("grad_scaler.py")
            seen.closure = bool(args[1:] or kwargs.get("closure"))

    def _stepped(self, *_: Any) -> None:
        self.updates += 1
        waiting = [s for s in self.optimizers.values() if not s.stepped]
        if self.injection.applied and (not waiting or self.updates >= ENOUGH):
            self._end("horizon")

    def _know(self, root: Any, mine: Any, text: str, batch: Any, keep: bool) -> Any:
        from ..treatments import know_

        chosen = in_order(map(read, parse_treatments(self.text)))
        lines = self.made.of(root)
        undo, views = know_(root, mine, chosen, batch, self.folder, self.made.of)
        self.roots.append((root, KnownRoot(type(root).__name__, dict(views), lines)))
        return undo

    def _end(self, ended: str, error: str = "") -> None:
        self._write()
        self.attempt.finish(ended, error, leave=True)

    def _write(self) -> None:
        if not self.told:
            self.told = True
            roots = [root for root, _ in self.roots]
            found = KnownTraining(
                tuple(known for _, known in self.roots),
                tuple(s.known(roots) for s in self.optimizers.values()),
                tuple(self.backward),
            )
            text = json.dumps(known_as_json(asdict(found)))
            (self.attempt.folder / "survey.json").write_text(text, encoding="utf-8")


class _Seen:
    """An optimizer, and what is noted of it."""

    def __init__(self, optimizer: Any, made: list[Spot], models: dict[str, Any]) -> None:
        self.optimizer, self.made, self.models = optimizer, made, models
        self.lr = float(optimizer.param_groups[0].get("lr") or 0.0)
        self.stepped: list[Spot] = []
        self.step_models: dict[str, Any] = {}
        self.scaler, self.scheduled, self.closure = False, "", False

    def known(self, roots: list[Any]) -> KnownOptimizer:
        """As a record."""
        groups = self.optimizer.param_groups
        held = {id(p) for g in groups for p in g["params"]}
        return KnownOptimizer(
            cls=type(self.optimizer).__name__,
            lr=self.lr,
            groups=len(groups),
            roots=tuple(
                k for k, r in enumerate(roots) if any(id(p) in held for p in r.parameters())
            ),
            made=tuple(self.made),
            stepped=tuple(self.stepped),
            models=_which(self.models, roots),
            step_models=_which(self.step_models, roots),
            scaler=self.scaler,
            scheduled=self.scheduled,
            closure=self.closure,
        )


def _which(models: dict[str, Any], roots: list[Any]) -> dict[str, int]:
    """Expressions that give one of the roots, out of its wrappers (compiled, parallel)."""
    found = {}
    for first, given in models.items():
        name, module = first, given
        while not any(module is r for r in roots):
            inner = next((a for a in ("_orig_mod", "module") if a in module._modules), None)
            if inner is None:
                break
            name, module = f"{name}.{inner}", module._modules[inner]
        for k, root in enumerate(roots):
            if module is root:
                found[name] = k
    return found


def visible_models(folder: str) -> dict[str, Any]:
    """Modules in sight of the script's innermost frame, by the expression that gives them."""
    import torch

    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = os.path.realpath(frame.f_code.co_filename)
        if name.startswith(folder + os.sep) and "site-packages" not in name:
            break
        frame = frame.f_back
    if frame is None:
        return {}
    found: dict[str, Any] = {}
    for scope in (frame.f_locals, frame.f_globals):
        for key, value in list(scope.items()):
            if isinstance(value, torch.nn.Module):
                found.setdefault(key, value)
    for key, value in list(frame.f_locals.items()):
        own = getattr(value, "__dict__", None)
        if not isinstance(own, dict) or isinstance(value, type) or key.startswith("__"):
            continue
        children = {**own, **(own.get("_modules") or {})}
        for inner, module in children.items():
            if isinstance(module, torch.nn.Module) and str(inner).isidentifier():
                found.setdefault(f"{key}.{inner}", module)
    return found


def _below(name: str) -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith(name):
            return True
        frame = frame.f_back
    return False


def after(owner: Any, name: str, note: Any) -> None:
    """Call `note` with the method's first arguments once it has returned."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        note(self, *args[:1]) if args else note(self)
        return result

    setattr(owner, name, noted)


def before(owner: Any, name: str, note: Any) -> None:
    """Call `note` with the object before the method runs."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        note(self)
        return method(self, *args, **kwargs)

    setattr(owner, name, noted)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
