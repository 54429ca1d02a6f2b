"""`evenflow.preflight`: one pass through a model, and what it foretells."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ..network import unwrap
from .assemble import assemble
from .inputs import arrange, like, padding
from .isolation import copied, restored
from .onepass import Measured, join, measure
from .record import Forecast


def preflight(
    model: nn.Module,
    inputs: Any,
    loss_fn: Callable[..., Tensor] | None = None,
    targets: Any = None,
    *,
    seed: int = 0,
    advise: bool = True,
) -> Forecast:
    """Will it train at all? One forward and one backward, before the first step.

    Nothing changes: the pass runs on a copy (or, for a model that cannot be copied, on the model
    with everything put back), in training mode, and random states are kept.

    Args:
        model: as it will be trained.
        inputs: a tensor; a shape such as (64, 3, 32, 32), which stands for N(0,1) data; a tuple
            of such for several arguments; a dict for keyword arguments. Use the real batch size:
            BatchNorm's gradients depend on it.
        loss_fn, targets: the loss is loss_fn(output, targets), or loss_fn(output) without
            targets. Without a loss_fn no labels are needed: a random cotangent takes its place.
        seed: of N(0,1) data, cotangent and dropout; the same seed gives the same forecast.
        advise: where it will not learn, try other starts on copies and tell which would mend it.

    Returns:
        A `Forecast`: `.verdict`, `.findings`, `.outlooks` site by site, `.trainable_depth`,
        `.advice`, `.to_json()`.

    Raises:
        ValueError: the model cannot be called so, or gives nothing a gradient flows from.

    >>> import torch, evenflow
    >>> layers = [m for _ in range(20) for m in (torch.nn.Linear(16, 16), torch.nn.Sigmoid())]
    >>> forecast = evenflow.preflight(torch.nn.Sequential(*layers), (32, 16), advise=False)
    >>> forecast.verdict, forecast.depth, "EF101" in [f.code for f in forecast.findings]
    ('sick', 20, True)
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if targets is not None and loss_fn is None:
        raise ValueError("targets were given without a loss_fn: nothing would read them")
    model = unwrap(model)
    args, kwargs = arrange(inputs, *like(model), seed, padding(model))

    def foresee(subject: nn.Module) -> Forecast:
        found = one_pass(subject, args, kwargs, loss_fn, targets, seed)
        return assemble(type(model).__name__, "one-pass", *found[:5], meta=found.meta)

    forecast = foresee(model)
    if not advise:
        return forecast
    from .advise import advise as advise_on  # imports the activations: only where it is needed

    more = advise_on(model, forecast, args, kwargs, lambda twin: foresee(twin).run, seed)
    return dataclasses.replace(forecast, advice=more)


def one_pass(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loss_fn: Callable[..., Tensor] | None,
    targets: Any,
    seed: int,
) -> Measured:
    """The readings of one pass that leaves the model as it was; in float64 where need be."""
    twin = copied(model)
    subject = model if twin is None else twin
    with restored(model) if twin is None else nullcontext():
        if not subject.training:  # a part may be in evaluation on purpose (frozen BatchNorm)
            subject.train()
        found = measure(
            subject, args, kwargs,
            loss_fn=loss_fn, targets=targets, seed=seed, accumulate=twin is not None,
        )  # fmt: skip
        if found.fits or twin is None:
            return found
        del twin, subject
        wide = copied(model)
        assert wide is not None
        wide.train(True) if not wide.training else None
        try:
            exact = measure(
                wide.double(), *tree_map(_double, (args, kwargs)),
                loss_fn=loss_fn, targets=tree_map(_double, targets), seed=seed,
            )  # fmt: skip
        except (ValueError, TypeError):  # a model that insists on its dtype; a device without it
            return found
    return join(found, exact)


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
