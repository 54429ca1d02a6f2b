"""Which outputs of a model a loss would be made from, where nobody has said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def ends(outputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs without those that the first of them was made from.

    A model that hands out its way as well (logits and then the encoder's last state, embeddings,
    hidden states; a loss and then its logits) is trained by the first. A cotangent of their own on
    the others is no part of a training: on Whisper's encoder it foresaw δ 1.2 decades too large.
    Outputs beside the first (boxes and classes, a pooled state) are kept.
    """
    if len(outputs) < 2 or outputs[0].grad_fn is None:
        return list(outputs)
    # Edges, not nodes: two outputs of one chunk() have the same node.
    upstream: set[tuple[Any, int]] = set()
    seen = set()
    todo: list[Any] = [outputs[0].grad_fn]
    while todo:
        node = todo.pop()
        for into, place in node.next_functions:
            if into is None:
                continue
            upstream.add((into, place))
            if into not in seen:
                seen.add(into)
                todo.append(into)
    return [outputs[0]] + [t for t in outputs[1:] if (t.grad_fn, t.output_nr) not in upstream]
