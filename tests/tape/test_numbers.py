"""Numbers against slow, obvious ones in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evenflow.tape import batches, numbers


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e-25, 1e-42, 1e30])
def test_norm_holds_where_float32_squares_do_not(scale: float) -> None:
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0)) * scale
    expected = math.sqrt(math.fsum(float(v) ** 2 for v in x.tolist()))
    assert numbers.norm(x) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_norm_of_other_dtypes(dtype: torch.dtype) -> None:
    x = torch.full((300,), 300.0, dtype=dtype)  # 300^2 * 300 overflows float16
    assert numbers.norm(x) == pytest.approx(float(x[0]) * math.sqrt(300), rel=1e-3)


def test_norm_of_nothing_and_of_infinity() -> None:
    assert numbers.norm(torch.empty(0)) == 0
    assert math.isinf(float(numbers.norm(torch.tensor([1.0, math.inf]))))
    assert math.isnan(float(numbers.norm(torch.tensor([1.0, math.nan]))))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 7), st.integers(64, 300)
)
def test_a_sample_is_a_view_of_about_the_limit(shape: list[int], offset: int, limit: int) -> None:
    x = torch.arange(math.prod(shape)).view(shape)
    few = numbers.sample(x, offset, limit)
    assert 0 < few.numel() <= 2 * limit
    assert few.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert len(set(few.flatten().tolist())) == few.numel()


def test_rows_keep_every_unit() -> None:
    x = torch.randn(4096, 512)
    few = numbers.sample_rows(x, 3)
    assert few.shape[1] == 512 and few.numel() <= 8 * numbers.LIMIT
    assert torch.equal(few[0], x[3 % (4096 // few.shape[0])])


def test_spread_is_one_minus_the_mean_similarity_of_pairs() -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 1
    pairs = [float(x[a] @ x[b]) for a in range(6) for b in range(6) if a != b]
    c = (sum(pairs) / len(pairs)) / float((x * x).sum(1).mean())
    assert float(numbers.spread(x) or 0) == pytest.approx(1 - c, rel=1e-12)


def test_spread_sees_one_part_in_a_million_million() -> None:
    base = torch.randn(1, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = base + 1e-6 * torch.randn(
        32, 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    assert float(numbers.spread(x) or 0) == pytest.approx(1e-12, rel=0.5)
    assert numbers.spread(torch.randn(1, 4)) is None


def test_varies_is_the_feature_that_tells_samples_apart_best() -> None:
    x = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(1)) + 4
    slow = [
        math.sqrt(sum((v - sum(column) / 9) ** 2 for v in column) / sum(v * v for v in column))
        for column in ([float(x[a, i, j]) for a in range(9)] for i in range(2) for j in range(3))
    ]
    assert float(batches.varies(x) or 0) == pytest.approx(max(slow), rel=1e-5)
    one = torch.full((32, 7), 1e4)
    assert float(batches.varies(one) or 0) < 1e-6
    one[3, 2] = 0  # a background in common, one pixel of one sample
    assert 0.1 < float(batches.varies(one) or 0) < 0.2


def test_varies_is_of_whole_numbers_too_and_of_several_samples_alone() -> None:
    tokens = torch.tensor([[5, 6, 0], [5, 7, 0]])
    assert float(batches.varies(tokens) or 0) == pytest.approx(0.5 / math.sqrt(42.5))
    assert float(batches.varies(torch.zeros(4, 3, dtype=torch.bool)) or 0) == 0
    assert float(batches.varies(torch.tensor([2, 2, 2])) or 0) == 0
    assert batches.varies(torch.ones(1, 5)) is None and batches.varies(torch.ones(())) is None
    assert math.isnan(float(batches.varies(torch.tensor([[1.0], [math.nan]])) or 0))


def test_labels_are_one_number_a_sample() -> None:
    y = torch.tensor([2, 0, 1])
    one_hot = torch.eye(3)[y]
    assert batches.labels(y).tolist() == [2, 0, 1]
    assert batches.labels(y[:, None]).tolist() == [2, 0, 1]
    assert batches.labels(one_hot).tolist() == [3, 1, 2]  # places count from 1
    assert batches.labels(torch.tensor([[0.5], [-2.0]])).tolist() == [0.5, -2]
    assert batches.labels(torch.tensor([[1.0, 10.0, 100.0]])).tolist() == [1 + 20 + 300]
    maps = torch.tensor([[[0, 1], [1, 2]], [[0, 0], [0, 0]]])
    assert batches.labels(maps).tolist() == [1, 0]
    assert batches.labels(torch.tensor([1e8, 1e8 + 1], dtype=torch.float64)).dtype is torch.float64


def test_classes_are_counted_as_the_loss_function_sees_them() -> None:
    made = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [5.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    y = torch.tensor([0, 0, -100, 2])
    labelled, said = batches.classes("cross_entropy", made, y, -100) or ()
    assert labelled.tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert said.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    shares = torch.eye(3)[[0, 1, 1, 2]]
    assert (batches.classes("cross_entropy", made, shares, -100) or ())[0].tolist() == [
        *(0.25, 0.5, 0.25)
    ]
    maps = made.T.reshape(1, 3, 2, 2)
    labelled, said = batches.classes("nll_loss", maps, y.reshape(1, 2, 2), -100) or ()
    assert labelled.tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert said.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_classes_of_one_output_are_two_and_many_are_not_counted() -> None:
    z, y = torch.tensor([-1.0, 0.2, 3.0, -2.0]), torch.tensor([0.0, 1.0, 0.0, 0.0])
    for made, target in ((z, y), (z[:, None], y[:, None])):
        told = batches.classes("binary_cross_entropy_with_logits", made, target, -100) or ()
        assert [t.tolist() for t in told] == [[0.75, 0.25], [0.5, 0.5]]
    told = batches.classes("binary_cross_entropy", z.sigmoid(), y, -100) or ()
    assert told[1].tolist() == [0.5, 0.5]
    both = torch.zeros(4, 2)
    pixels = torch.tensor([[[[0.0, 1.0, 0.0, 0.4]]]])  # grey is neither
    scores = torch.tensor([[[[-1.0, -1.0, 3.0, 3.0]]]])
    told = batches.classes("binary_cross_entropy_with_logits", scores, pixels, -100) or ()
    assert [t.tolist() for t in told] == [pytest.approx([2 / 3, 1 / 3])] * 2
    rgb = torch.zeros(1, 3, 1, 4)
    assert batches.classes("binary_cross_entropy", rgb, rgb, -100) is None
    assert batches.classes("binary_cross_entropy", both, both, -100) is None  # labels of their own
    assert batches.classes("cross_entropy", torch.zeros(4, 33), y.long(), -100) is None
    assert batches.classes("cross_entropy", torch.zeros(3), y[0].long(), -100) is None
    assert batches.classes("mse_loss", z, y, -100) is None


def test_entropy_is_one_when_even_and_zero_on_one_key() -> None:
    even = torch.full((2, 3, 4, 8), 1 / 8)
    assert [float(v) for v in numbers.entropy(even)] == pytest.approx([1, 1])
    even[:, 1] = 0
    even[:, 1, :, 2] = 1  # one head looks at one key only
    mask = torch.ones(8, dtype=torch.bool)
    mean, least = numbers.entropy(even, mask)
    assert float(mean) == pytest.approx(2 / 3) and float(least) == 0


def test_entropy_counts_only_keys_that_may_be_attended_to() -> None:
    mask = torch.ones(4, 4).tril().bool()
    p = (mask / mask.sum(-1, keepdim=True)).view(1, 1, 4, 4)
    mean, _ = numbers.entropy(p, mask.expand(1, 1, 4, 4))
    assert float(mean) == pytest.approx(1)


def test_features_tell_scales_and_one_outlier() -> None:
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(4))
    x[:, 2] *= 1000
    told = {k: float(v) for k, v in numbers.features(x).items()}
    assert told["feature_high"] == pytest.approx(float(x[:, 2].square().mean().sqrt()), rel=1e-5)
    assert told["feature_low"] < 2 and told["outlier"] < 10 and told["integer"] == 0
    x[5, 0] = 1e6
    assert float(numbers.features(x)["outlier"]) > 100


def test_a_sparse_feature_is_no_outlier() -> None:
    x = torch.randn(64, 10, generator=torch.Generator().manual_seed(5))
    x[:, 3] = 0
    x[7, 3] = 8.0  # a pixel lit in one sample of 64, standardised
    assert float(numbers.features(x)["outlier"]) < 12


def test_subnormal_share() -> None:
    x = torch.tensor([0.0, 1.0, 1e-40, -1e-41])
    assert float(numbers.subnormal(x)) == pytest.approx(2 / 3)
    assert float(numbers.subnormal(torch.zeros(3))) == 0


@pytest.mark.parametrize("shape", [(70, 144), (64, 32, 16, 16), (8192,), (9000, 3), (5, 7)])
def test_runs_are_spread_over_all_of_a_tensor(shape):
    n = math.prod(shape)
    x = torch.arange(n, dtype=torch.float64).view(shape)
    few = numbers.runs(x, 1024)
    assert few.numel() <= max(1024, n) and few.data_ptr() == x.data_ptr()
    if n > 1024:
        assert 0.4 * 1024 <= few.numel() <= 2 * 1024
        assert few.mean() == pytest.approx(float(x.mean()), rel=0.1)
    columns = x.shape[-1] if x.dim() > 1 else 1
    seen = set((few.reshape(-1).long() % columns).tolist())
    assert len(seen) == columns, "every column of a matrix is met"


def test_runs_of_memory_in_pieces_are_a_sample():
    x = torch.randn(64, 64, 64)[:, ::2]
    assert torch.equal(numbers.runs(x, 1000), numbers.sample(x, limit=1000))


@pytest.mark.parametrize("layout", ["whole", "in pieces"])
def test_zeros_of_a_large_tensor_are_those_of_its_runs(layout: str) -> None:
    x = torch.randn(64, 32, 8, 8, generator=torch.Generator().manual_seed(0)).relu()
    x = x if layout == "whole" else x[..., ::2]
    few = numbers.runs(x, 4096)
    assert numbers.zeros(x, 4096) == pytest.approx(float((few == 0).double().mean()))
    assert numbers.zeros(x) == pytest.approx(float((x == 0).double().mean()))
    half = x.bfloat16()  # not read by numpy
    seen = float((numbers.runs(half, 4096) == 0).double().mean())
    assert float(numbers.zeros(half, 4096)) == pytest.approx(seen)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_slope_is_the_quotient_where_delta_came(dtype: torch.dtype) -> None:
    d_out = torch.tensor([[2.0, 0.0, -4.0], [0.0, 1.0, 8.0]], dtype=dtype)
    d_in = torch.tensor([[1.0, 0.0, 4.0], [math.nan, 0.0, 2.0]], dtype=dtype)
    expected = math.sqrt((0.5**2 + 1.0**2 + 0.0**2 + 0.25**2) / 4)
    assert float(numbers.slope(d_in, d_out)[0]) == pytest.approx(expected)
    assert float(numbers.slope(d_in * 0, d_out * 0)[0]) == 0


def test_an_outlier_is_measured_from_the_median_and_the_rest() -> None:
    x = torch.randn(200, 7, generator=torch.Generator().manual_seed(2))
    x[17, 4] = -300.0
    rows = x.double().tolist()
    spans = []
    for column in zip(*rows, strict=True):
        away = sorted(abs(v - sorted(column)[(len(column) - 1) // 2]) for v in column)
        rest = away[: len(away) - math.ceil(0.02 * len(away))]
        spans.append((away[-1], math.sqrt(math.fsum(v * v for v in rest) / len(rest))))
    floor = sorted(r for _, r in spans)[(len(spans) - 1) // 2]
    expected = max(top / max(r, floor) for top, r in spans)
    assert float(numbers.features(x)["outlier"]) == pytest.approx(expected, rel=1e-5)
