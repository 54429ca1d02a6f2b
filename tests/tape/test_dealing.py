"""Which views give one axis the memory of another: by shapes, and by numbers that tell axes."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from evenflow.tape.dealing import nested, out_of_order, within

lengths = st.lists(st.integers(2, 7), min_size=1, max_size=4)


def told(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[bool, bool]:
    """Out of order, and not to be explained by splitting and joining."""
    a, b = within(before, after)
    return out_of_order(a, b), not nested(a, b)


def test_by_name() -> None:
    assert told((16, 8, 12, 3), (16, 3, 8, 12)) == (True, True)
    assert told((16, 4, 21, 12), (16, 21, 48)) == (True, True)
    assert told((16, 4, 20, 12), (16, 20, 48)) == (True, False)  # 20 = 4 * 5
    assert told((64, 21, 12), (16, 21, 48)) == (True, True)  # heads and samples in one axis
    assert told((16, 3, 8, 12), (16 * 96, 3)) == (True, False)
    assert told((16, 20, 10), (16, 10, 20)) == (True, False)  # two frames made one
    for after in ((16, 1, 3, 8, 12), (16, 3, 96), (16, 288), (48, 96), (16, 3, 8, 3, 4)):
        assert not told((16, 3, 8, 12), after)[0]
    assert not told((16, 256, 6, 6), (16, 1152, 8))[0]  # capsules
    assert not told((16, 6, 4), (6, 16, 4))[0]  # samples: who depends on whom is asked instead
    assert not told((16, 1, 20, 1), (16, 20, 1, 1))[0]


@given(lengths, st.integers(2, 5))
def test_joining_and_splitting_are_in_order(axes: list[int], n: int) -> None:
    """Whatever keeps every number next to its neighbours on the same axis is no fault."""
    for cut in range(1, len(axes) + 1):
        joined = (n, math.prod(axes[:cut]), *axes[cut:])
        assert not told((n, *axes), joined)[0]
        # to split again gives neither another order nor one that is not nested
        order, crossing = told(joined, (n, *axes))
        assert not (order and crossing)


@given(st.permutations([2, 3, 5, 7]), st.integers(2, 4))
def test_another_order_of_axes_is_told(axes: list[int], n: int) -> None:
    """Lengths without a common factor: told where the view and the transpose differ in a number."""
    before = (2, 3, 5, 7)
    x = torch.arange(n * 210).view(n, *before)
    turned = x.permute(0, *(1 + before.index(a) for a in axes))
    for cut in range(1, 4):
        shape = (n, math.prod(axes[:cut]), math.prod(axes[cut:]))
        same = torch.equal(x.reshape(shape), turned.reshape(shape))
        order, crossing = told((n, *before), shape)
        assert order == crossing
        if math.prod(axes[:cut]) in (2, 6, 30):
            assert not order  # neighbours may have been joined, whatever was meant
        else:
            assert order and not same
