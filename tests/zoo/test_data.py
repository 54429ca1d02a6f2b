"""The zoo's data: real, split, the same at every call."""

from __future__ import annotations

import pytest
import torch

from zoo import data


@pytest.mark.parametrize(
    ("name", "n", "features"),
    [("digits", 1797, 64), ("breast_cancer", 569, 30), ("wine", 178, 13), ("iris", 150, 4),
     ("diabetes", 442, 10)],
)  # fmt: skip
def test_sets_are_whole_and_a_quarter_is_held_out(name: str, n: int, features: int) -> None:
    d = getattr(data, name)()
    assert len(d.x) + len(d.x_test) == n
    assert abs(len(d.x_test) - n / 4) < 1
    assert d.x.shape[1] == features
    assert d.x.dtype == torch.float32
    again = getattr(data, name)()
    assert torch.equal(d.x, again.x) and torch.equal(d.y_test, again.y_test)


def test_standardised_features_have_mean_0_and_deviation_1() -> None:
    d = data.wine()
    torch.testing.assert_close(d.x.mean(0), torch.zeros(13), atol=1e-5, rtol=0)
    torch.testing.assert_close(d.x.std(0), torch.ones(13), atol=1e-4, rtol=0)
    assert data.wine(scaled=False).x.max() > 1000


def test_digits_come_in_three_scales() -> None:
    assert data.digits("raw").x.max() == 16
    assert data.digits("unit").x.max() == 1
    assert abs(data.digits().x.mean().item()) < 1e-5


def test_changing_a_split_leaves_the_cached_data_alone() -> None:
    before = data.digits("raw").x.clone()
    data.digits().x.fill_(torch.nan)
    assert torch.equal(data.digits("raw").x, before)
    assert data.digits().x.isfinite().all()


def test_the_text_is_english_long_enough_and_split() -> None:
    t = data.text()
    assert len(t.train) > 8000 and len(t.test) > 2000
    assert int(t.train.max()) < t.size
    counts = torch.bincount(t.train, minlength=t.size)
    assert counts.max() < 0.3 * len(t.train)


def test_without_a_licence_file_the_help_topics_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.isfile", lambda path: False)
    assert len(data._licence()) == 14000
