"""A network at birth: how far signals and gradients survive, before any step. L layers."""

from __future__ import annotations

from .view import View


class Birth:
    """What the first reading says of a network's start.

    Attributes:
        depth: layers with weights on the longest path from the data to the loss.
        trainable_depth: how many of them, from the output, signals survive; None without layers.
        chance: 0 to 1, that it learns as it stands; NaN where that cannot be told.
    """

    @classmethod
    def of(cls, view: View) -> Birth:
        """The view's, worked out once."""
        known = view.memo.get("birth")
        if not isinstance(known, cls):
            known = view.memo["birth"] = cls(view)
        return known

    def __init__(self, view: View) -> None:
        self.depth = max((view.depth[i] for i in view.layers), default=0)
        self.trainable_depth = self.depth or None
        self.chance = float("nan")
