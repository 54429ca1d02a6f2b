"""Reading `--input`, and making what a model is called with."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evenflow.forecast.inputs import Wanted, arrange, described, dtype_named, padding, parse_input

_FLOATS = {"float": None, "float16": torch.float16, "bfloat16": torch.bfloat16,
           "float32": torch.float32, "double": torch.float64}  # fmt: skip
_WHOLE = {"int": torch.int64, "int64": torch.int64, "int32": torch.int32}
shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
names = st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,7}", fullmatch=True)
CPU = torch.device("cpu")


@given(shapes, st.none() | names, st.sampled_from([None, *_FLOATS, *_WHOLE]), st.integers(1, 50))
def test_what_is_written_is_what_is_read(
    shape: tuple[int, ...], name: str | None, kind: str | None, below: int
) -> None:
    bounded = kind in _WHOLE
    text = ",".join(map(str, shape))
    text = (f"{kind}:" if kind else "") + text + (f"<{below}" if bounded else "")
    text = (f"{name}=" if name else "") + text
    dtype = _WHOLE[kind] if kind in _WHOLE else _FLOATS[kind or "float"]
    assert parse_input(text) == Wanted(shape, name or "", dtype, below if bounded else None)


@settings(max_examples=30)
@given(shapes, st.integers(1, 50), st.integers(0, 3))
def test_whole_numbers_keep_below_their_bound(
    shape: tuple[int, ...], below: int, seed: int
) -> None:
    (x,), _ = arrange(Wanted(shape, "", torch.int64, below), torch.float32, CPU, seed)
    assert x.shape == shape and x.dtype == torch.int64
    assert 0 <= int(x.min()) <= int(x.max()) < below


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_with_the_text(text: str) -> None:
    try:
        wanted = parse_input(text)
    except ValueError as error:
        assert repr(text) in str(error)
    else:
        assert all(n > 0 for n in wanted.shape)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("64x3", "cannot be read"),
        ("64,-3", "cannot be read"),
        ("x=", "cannot be read"),
        ("long:3", "'long' is none of"),
        ("3,0", "a size is 0"),
        ("3<10", "say int: too"),
        ("float32:3<10", "say int: too"),
        ("int:3<0", "below 0"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="input") as caught:
        parse_input(text)
    assert said in str(caught.value) and repr(text) in str(caught.value)


def test_several_inputs_positional_named_and_ready_made() -> None:
    ready = torch.ones(2)
    args, kwargs = arrange(
        ((4, 3), Wanted((2, 5), "ids", torch.int64, 7), ready, "as-it-is"), torch.float16, CPU
    )
    assert args[0].shape == (4, 3) and args[0].dtype == torch.float16
    assert args[1] is ready and args[2] == "as-it-is"
    assert list(kwargs) == ["ids"] and int(kwargs["ids"].max()) < 7
    assert described(args[:2], kwargs) == "float16 [4, 3], float32 [2], ids=int64 [2, 5]"


def test_normal_data_by_the_seed_alone() -> None:
    def one(seed: int) -> torch.Tensor:
        x: torch.Tensor = arrange((64, 500), torch.float32, CPU, seed)[0][0]
        return x

    state = torch.get_rng_state()
    assert torch.equal(one(1), one(1)) and not torch.equal(one(1), one(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert abs(float(one(1).mean())) < 0.02 and abs(float(one(1).std()) - 1) < 0.02


@pytest.mark.parametrize("wrong", [None, 3.0, "64,3", (), {1, 2}])
def test_what_is_no_input_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        arrange(wrong, torch.float32, CPU)


def test_dtypes_by_name() -> None:
    assert dtype_named("bfloat16") is torch.bfloat16 and dtype_named("float") is torch.float32
    for wrong in ("int", "int8", "float8"):
        with pytest.raises(ValueError, match=f"dtype '{wrong}' is none of float,"):
            dtype_named(wrong)


def test_ids_that_stand_for_no_token_are_not_drawn() -> None:
    model = nn.Sequential(nn.Embedding(4, 8, padding_idx=2))
    (ids,), _ = arrange(Wanted((500,), "", torch.int64, 4), torch.float32, CPU, 0, padding(model))
    assert set(ids.tolist()) == {0, 1, 3}
    (only,), _ = arrange(Wanted((5,), "", torch.int64, 1), torch.float32, CPU, 0, {0})
    assert set(only.tolist()) == {0}  # nothing else is left
