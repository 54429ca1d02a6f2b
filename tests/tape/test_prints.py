"""Fingerprints of samples, against comparing the samples themselves."""

from __future__ import annotations

import pytest
import torch

from evenflow.schema import PRINTED, REMEMBERED
from evenflow.tape.prints import Seen, prints


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8,
     torch.bool],
)  # fmt: skip
def test_prints_are_equal_where_samples_are(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 2, (64, 3, 4)).to(dtype)
    x = torch.cat((x, x[:10], x.flip(2)[:10]))
    told = prints(x)
    assert told is not None
    rows = x.reshape(len(x), -1).tolist()
    for a in range(len(x)):
        for b in range(len(x)):
            assert (rows[a] == rows[b]) == bool(told[a] == told[b])


def test_random_numbers_of_the_script_are_left_alone() -> None:
    before = torch.get_rng_state()
    prints(torch.ones(4, 1000))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_that_come_again() -> None:
    seen, x = Seen(), torch.randn(32, 5)
    assert float(seen.again(x[:16])) == 0.0  # type: ignore[arg-type]
    assert float(seen.again(x[8:24])) == 0.5  # type: ignore[arg-type]
    assert float(seen.again(x)) == 0.75  # type: ignore[arg-type]
    assert float(seen.again(x)) == 1.0  # type: ignore[arg-type]


def test_what_is_remembered_is_bounded() -> None:
    seen = Seen()
    first = torch.randn(2 * PRINTED, 3)
    seen.again(first)
    assert float(seen.again(first[PRINTED:])) == 0.0  # type: ignore[arg-type]
    for _ in range(REMEMBERED // PRINTED):
        seen.again(torch.randn(PRINTED, 3))
    last = torch.randn(PRINTED, 3)
    seen.again(last)
    assert float(seen.again(last)) == 0.0  # type: ignore[arg-type]
    assert float(seen.again(first)) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize("x", [torch.tensor(1.0), torch.empty(3, 0), torch.ones(2, 2) * 1j])
def test_what_holds_no_samples_has_none(x: torch.Tensor) -> None:
    assert prints(x) is None and Seen().again(x) is None
