"""Sick networks are sick, healthy ones learn; a sample by default, all of them in the slow run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import zoo
from zoo import REGISTRY, Case

SAMPLE = (
    "perceptron-softmax-twice",
    "perceptron-slow",
    "tabular-classification-softmax-of-one",
    "autoencoder-stalled-output",
    "tabular-regression-dead-output",
    "residual-only-head",
)
#: Seeds of the slow run: the first of each half's benchmark.
SEED = {"calibration": 100, "report": 0}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sick_network_does_worse_than_its_twin(name: str) -> None:
    case = REGISTRY[name]
    twin = REGISTRY[case.twin]
    sick, healthy = case.train(0), twin.train(0)
    assert sick < case.bound
    assert healthy >= twin.bound
    assert healthy > sick


def test_a_seed_decides_everything() -> None:
    case = REGISTRY["tabular-classification-wine-sgd"]
    state = torch.random.get_rng_state()
    first = case.train(3)
    torch.random.set_rng_state(state)
    torch.rand(7)
    assert case.train(3) == first


def test_no_training_knows_of_evenflow() -> None:
    for path in Path(zoo.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path.name
                assert not (node.module or "").startswith("evenflow"), path.name
            if isinstance(node, ast.Import):
                assert not any(a.name.startswith("evenflow") for a in node.names), path.name


@pytest.mark.slow
@pytest.mark.parametrize("case", REGISTRY.values(), ids=lambda c: c.name)
def test_every_network_keeps_its_bound(case: Case) -> None:
    score = case.train(SEED[case.half])
    assert (score >= case.bound) is case.healthy
