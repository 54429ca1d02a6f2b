"""Acceptance 1 of the ledger: each factor is the op's own vector-Jacobian product."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import evenflow
from evenflow.ledger import Block, Ledger
from evenflow.ledger import live as module
from evenflow.ledger.factors import CANCELLED

from .architectures import NETWORKS
from .oracle import Keep, again, delta

RELATIVE = 1e-5


def norm(x: Tensor) -> float:
    return float(x.double().norm())


class Read:
    """A ledger, and the vertices and edges it was made of, by node."""

    def __init__(self, loss: Tensor, model: Any, site: Any = None) -> None:
        kept: dict[str, Any] = {}
        inner = module.links

        def links(vertices: Any, edges: Any, root: Any, target: Any) -> Any:
            kept.update(vertices=vertices, edges=edges)
            return inner(vertices, edges, root, target)

        module.links = links
        try:
            self.ledger: Ledger = evenflow.explain(loss, model, site)
        finally:
            module.links = inner
        self.vertices, self.edges = kept["vertices"], kept["edges"]


@pytest.mark.parametrize("name", NETWORKS)
def test_factors_are_the_ops_own_products(name: str) -> None:
    with Keep() as keep:
        loss, model = NETWORKS[name]()
    read = Read(loss, model)
    by_edge: dict[tuple[Any, Any], list[Any]] = {}
    for e in read.edges:
        by_edge.setdefault((e.sender, e.receiver), []).append(e)
    met = checked = 0
    parts: dict[Any, list[tuple[int, Tensor]]] = {}
    for call in keep.calls:
        node = call.out.grad_fn
        arrived = delta(loss, call.out)
        if node not in read.vertices or arrived is None:
            continue
        # A function of several nodes ends in this one; a view of a multi-output node does not.
        if read.vertices[node].received != pytest.approx(norm(arrived), rel=RELATIVE):
            assert call.out.output_nr or len(tuple(node._input_metadata)) > 1, node.name()
            continue
        met += 1
        for given, sent in again(call, arrived):
            edges = by_edge.get((node, given.grad_fn), [])
            if len(edges) != 1:
                continue
            assert edges[0].sent == pytest.approx(norm(sent), rel=RELATIVE, abs=1e-30)
            checked += 1
            parts.setdefault(given.grad_fn, []).append((given.output_nr, sent))
    assert met >= 4 and checked >= 3
    forks = [v for v in read.vertices if sum(e.receiver is v for e in read.edges) > 1]
    for v in forks:
        into = [e for e in read.edges if e.receiver is v]
        sent = [(slot, part.double()) for slot, part in parts.get(v, ())]
        if len(sent) != len(into):
            continue  # a branch the oracle did not see by itself
        whole: dict[int, Tensor] = {}
        for slot, part in sent:
            whole[slot] = whole.get(slot, torch.zeros(())) + part
        size = math.hypot(*(norm(w) for w in whole.values()))
        if size <= CANCELLED * sum(norm(part) for _, part in sent):
            continue
        expected = [float((part * whole[slot]).sum()) / size**2 for slot, part in sent]
        assert sorted(e.share for e in into) == pytest.approx(sorted(expected), rel=1e-4, abs=1e-4)
        assert sum(expected) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_ledger_adds_up(name: str) -> None:
    loss, model = NETWORKS[name]()
    ledger = evenflow.explain(loss, model)
    assert ledger.received == pytest.approx(1.0)
    assert math.fsum(link.gain for link in ledger.links) == pytest.approx(ledger.gain, abs=1e-9)
    for above, below in zip(ledger.links, ledger.links[1:], strict=False):
        assert above.sent == pytest.approx(below.received, rel=1e-6)
    for link in ledger.links:
        both = [link.parts[k] for k in ("scale", "alignment", "slope", "rest") if k in link.parts]
        if both:
            assert math.fsum(both) == pytest.approx(link.gain, abs=1e-9)
        for fork in link.forks if isinstance(link, Block) else ():
            assert math.fsum(b.share for b in fork.branches) == pytest.approx(1.0, abs=1e-6)
            sizes = sum(b.size for b in fork.branches)
            assert fork.sure == (fork.received > CANCELLED * sizes)


def test_there_are_at_least_twenty_architectures() -> None:
    assert len(NETWORKS) >= 20


def test_branches_that_cancel_are_said_to() -> None:
    loss, model = NETWORKS["cancelling"]()
    ledger = evenflow.explain(loss, model)
    forks = [f for b in ledger.links if isinstance(b, Block) for f in b.forks]
    assert [f.sure for f in forks] == [False]
    assert "shares ill-conditioned, 2 branches cancel" in str(ledger)


def test_the_end_is_the_sites_own_error() -> None:
    """For each kind of site: an op, a module, a parameter, a tensor."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    x = torch.randn(5, 4)
    z = model[0](x)
    a = model[1](z)
    loss = model[2](a).square().mean()
    whole = torch.autograd.grad(loss, [z, a, model[0].weight], retain_graph=True)
    for site, expected in (
        ("0", whole[0]), ("0 → tanh", whole[1]), ("0.weight", whole[2]), (z, whole[0]),
        (model[0].weight, whole[2]), (None, whole[0]),
    ):  # fmt: skip
        assert evenflow.explain(loss, model, site).sent == pytest.approx(norm(expected), rel=1e-6)
