"""The training under treatment: what `apply` functions are given, and how they may change it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..architecture import optimizer_facts
from ..base import Facts
from .forward_trace import Batch, ForwardTrace, TracedCall, trace_forward
from .grafting import Graft, graft_
from .stepping import Before, Stage, Stepper
from .undo import Undo


class TreatmentContext:
    """A model, its optimizers and one batch, while treatments are applied.

    Attributes:
        model: the plain model: out of torch.compile's and DDP's wrappers.
        root: as it was given.
        batch: (args, kwargs) of one forward, or None.
        generator: on the CPU, seeded; the one source of random numbers.
        seed: of that generator.
    """

    def __init__(
        self,
        root: nn.Module,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        batch: Batch | None,
        seed: int,
        undo: Undo,
    ) -> None:
        self.root, self.model = root, model
        self.optimizers = list(optimizers)
        self.batch = batch
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self._drawn, self._fresh = 0, self.generator.get_state()
        self.undo = undo
        self._forward: ForwardTrace | None = None

    # --- seeing --------------------------------------------------------------------------------

    @property
    def forward(self) -> ForwardTrace:
        """One forward of the batch, as the model is now. ValueError without a batch."""
        if self.batch is None:
            raise ValueError(
                "it must see a forward to know which layer feeds which: give treat_ a batch "
                "(a tensor, or (args, kwargs))."
            )
        if self._forward is None:
            self._forward = trace_forward(self.model, self.batch)
        return self._forward

    def changed(self) -> None:
        """The structure is another from here on."""
        self._forward = None

    def module_of(self, call: TracedCall) -> nn.Module | None:
        """The module whose parameters a layer's are, if the call is that module's whole work (so
        that something can be put around it); None for functional calls."""
        m = call.module
        return m if m is not None and call.weight is getattr(m, "weight", None) else None

    def reseed(self) -> None:
        """The generator as new for the next treatment, if the last has drawn from it."""
        if not torch.equal(self.generator.get_state(), self._fresh):
            self._drawn += 1
            self.generator.manual_seed(self.seed + self._drawn)
            self._fresh = self.generator.get_state()

    # --- changing ------------------------------------------------------------------------------

    def put(self, parameter: Tensor, value: Tensor | float) -> None:
        """Overwrite a parameter's values; its optimizer state (moments) starts anew."""
        with torch.no_grad():
            if isinstance(value, Tensor):
                parameter.copy_(value)
            else:
                parameter.fill_(value)
        self.reset_moments(parameter)

    def reset_moments(self, parameter: Tensor) -> None:
        """Drop what optimizers remember of a parameter."""
        for optimizer in self.optimizers:
            optimizer.state.pop(parameter, None)

    def graft(self, module: nn.Module, graft: Graft, beside: nn.Parameter | None = None) -> None:
        """Put `graft` around a module; its parameters join the group that `beside` is in."""
        near = [*module.parameters(), *self.model.parameters()]
        reference = near[0] if near else None
        if reference is not None:
            graft.to(device=reference.device)
            if reference.dtype.is_floating_point and not graft.own_dtype:
                graft.to(dtype=reference.dtype)
        graft_(module, graft)
        self._slow_path(module)
        self.adopt(graft, beside)
        self.changed()

    def _slow_path(self, module: nn.Module) -> None:
        """torch's encoder layers have a fast path in evaluation that calls none of their modules,
        and so no graft; without this flag they take the ordinary one."""
        for layer in self.model.modules():
            fast = isinstance(layer, nn.TransformerEncoderLayer)
            if fast and any(m is module for m in layer.modules()):
                self.attribute(layer, "activation_relu_or_gelu", 0)

    def attribute(self, owner: nn.Module, name: str, value: Any) -> None:
        """Set a plain attribute, to be put back by `undo`."""
        if self.undo._snapshot is not None:
            self.undo._snapshot.attribute(owner, name)
        owner.__dict__[name] = value

    def adopt(self, made: nn.Module, beside: nn.Parameter | None) -> None:
        """Give new parameters to the optimizers, those there are and those that come later."""
        fresh = list(made.parameters())
        if not fresh:
            return
        if isinstance(self.root, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            raise ValueError(
                "it adds parameters, which DistributedDataParallel would not synchronise: treat "
                "the model before wrapping it."
            )

        def append(optimizer: torch.optim.Optimizer) -> None:
            # to the group that holds `beside`; an optimizer without one is another network's
            groups = optimizer.param_groups
            held = {id(p) for g in groups for p in g["params"]}
            near = [g["params"] for g in groups if any(p is beside for p in g["params"])]
            if near:
                near[0].extend(p for p in fresh if id(p) not in held)

        self._on_each(append)

    def replace(self, swaps: Sequence[tuple[nn.Module, nn.Module]]) -> None:
        """Swap children, (old, new) each, wherever they are registered."""
        new_of = {id(old): new.train(old.training) for old, new in swaps}
        for parent in list(self.model.modules()):
            for name, child in parent._modules.items():
                if id(child) in new_of:
                    parent._modules[name] = new_of[id(child)]
        self.changed()

    def stage(self, make: Callable[[], Stage]) -> None:
        """Let a stage of its own act at each update of every optimizer."""

        def attach(optimizer: torch.optim.Optimizer) -> None:
            stage = make()
            Stepper.of(optimizer).add(stage)
            self.undo._undoers.append(lambda: Stepper.of(optimizer).remove(stage, optimizer))

        self._on_each(attach)

    def before_update(self, change: Callable[[torch.optim.Optimizer], None]) -> None:
        """Let `change` act on the gradients before each update of every optimizer."""
        self.stage(lambda: Before(change))

    def _on_each(self, attach: Callable[[torch.optim.Optimizer], None]) -> None:
        """Now for the optimizers there are, later for those that come."""
        self.undo._attachers.append(attach)
        for optimizer in self.optimizers:
            attach(optimizer)


def facts(
    seen: ForwardTrace, batch: Batch | None, optimizers: Sequence[torch.optim.Optimizer]
) -> Facts:
    """`Facts` of a live model."""
    kinds = Counter(c.op for c in seen.activations)
    hidden = seen.hidden
    noted: list[dict[str, Any]] = [
        {"class": type(o).__name__, "lr": float(o.param_groups[0].get("lr", float("nan")))}
        for o in optimizers
    ]
    first = next(iter((*batch[0], *batch[1].values())), None) if batch else None
    recurrent = {c.op for c in seen.calls if c.kind == "recurrent"}
    if seen.cells:
        recurrent.add("cell")
    return Facts(
        depth=seen.depth,
        activations=tuple(op for op, _ in kinds.most_common()),
        norms=frozenset(c.op for c in seen.calls if c.kind == "norm"),
        recurrent=frozenset(recurrent),
        skips=bool(seen.branches),
        attention=any(c.kind == "attention" for c in seen.calls),
        convolution=any("conv" in c.op for c in seen.layers),
        embedding=any(c.kind == "embedding" for c in seen.calls),
        dropout=any(c.kind == "dropout" for c in seen.calls),
        square=sum(w is not None and w.shape[0] == w.shape[1] for w in (c.weight for c in hidden)),
        hidden=len(hidden),
        floating=not isinstance(first, Tensor) or first.is_floating_point(),
        step=max((updates(o) for o in optimizers), default=0),
        **optimizer_facts(noted),
    )


def updates(optimizer: torch.optim.Optimizer) -> int:
    """Updates an optimizer has made, as far as its state tells (plain SGD's does not)."""
    steps = [s.get("step", 0) for s in optimizer.state.values() if isinstance(s, dict)]
    known = max((int(s) for s in steps), default=0)
    return max(known, int(bool(optimizer.state)))
