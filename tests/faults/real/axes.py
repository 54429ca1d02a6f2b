"""Along which axis: EF804."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import fit, real


def steps(n: int = 16) -> tuple[Tensor, Tensor]:
    """x [n, 6, 4] and y [n, 1], the second feature where the first is largest."""
    x = torch.randn(n, 6, 4)
    return x, x[..., 1].gather(1, x[..., 0].argmax(1, keepdim=True))


class Pool(nn.Module):
    """Scores [N, T, 1] of steps, a softmax along `dim`, a weighted sum over the steps."""

    def __init__(self, dim: int, product: bool = False) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(4, 20), nn.Linear(20, 1)
        self.score, self.ask = nn.Linear(20, 1), nn.Linear(4, 20)
        self.dim, self.product = dim, product

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x).tanh()
        z = h @ self.ask(x[:, -1])[:, :, None] if self.product else self.score(h)
        return self.head((F.softmax(z, self.dim) * h).sum(1))


@real("EF804", "error", "one-value")
def weights_of_one_unit(sick: bool) -> None:
    fit(Pool(2 if sick else 1), steps)


@real("EF804", "error", "one-value")
def weights_of_one_query(sick: bool) -> None:
    fit(Pool(2 if sick else 1, product=True), steps)


@real("EF804", "error", "samples")
def weights_among_samples(sick: bool) -> None:
    """A batch as large as the layer is wide: such a table is not of pairs."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.Softmax(0 if sick else 1))
    fit(net.append(nn.Linear(16, 1)), steps)


@real("EF804", "error", "one-value")
def a_single_value_normalised(sick: bool) -> None:
    class Sign(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.normalize(x, dim=1)

    width = 1 if sick else 4
    fit(nn.Sequential(nn.Flatten(), nn.Linear(24, width), Sign(), nn.Linear(width, 1)), steps)


@real()
def pairs_of_a_batch(sick: bool) -> None:
    """Each against all, by a softmax along either axis, or both."""

    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 8), nn.Linear(4, 8)

        def forward(self, x: Tensor) -> Tensor:
            z = F.normalize(self.a(x[:, 0])) @ F.normalize(self.b(x[:, 0])).T * 4
            both = z.log_softmax(0).T + z.log_softmax(1) if sick else z.log_softmax(1)
            return both

    fit(Pairs(), lambda: (steps()[0], torch.arange(16)), F.nll_loss)
