"""What a forecast's model is made of, line by line: for the patch of what is advised."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from ..network import unwrap
from ..patching import KnownRoot, KnownTraining
from ..schema import parse_treatments
from ..treatments import Spot, in_order, know_, read
from .inputs import arrange, like, padding


def known_to_patch(
    model: nn.Module,
    inputs: Sequence[Any],
    course: str,
    folder: str,
    made: Callable[[nn.Module], tuple[Spot, ...]],
    seed: int = 0,
) -> KnownTraining:
    """How each treatment of a course finds a copy of the model; there are no optimizers.

    Args:
        model: as it was made; it is left as it is.
        inputs: as `preflight` takes them.
        course: treatments' text.
        folder: of the user's own files. made: the lines that made a module.
        seed: of the inputs.

    Raises:
        ValueError: the model cannot be copied or treated.
    """
    plain = unwrap(model)
    batch = arrange(inputs, *like(plain), seed, padding(plain))
    try:
        twin = copy.deepcopy(plain)
    except Exception as error:
        raise ValueError(f"the model cannot be copied: {error}") from error
    originals = {id(new): old for old, new in zip(plain.modules(), twin.modules(), strict=True)}
    twin.train()
    chosen = in_order(map(read, parse_treatments(course)))
    _undo, views = know_(twin, [], chosen, batch, folder, lambda m: made(originals.get(id(m), m)))
    return KnownTraining((KnownRoot(type(plain).__name__, dict(views), made(plain)),))
