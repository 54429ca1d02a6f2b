"""EF205 at a language model's unigram plateau: nothing has collapsed; beside twins where it has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.schema import Finding

LETTERS, LONGEST, BATCH = 12, 12, 32


class Gate(nn.Module):
    """A gated cell of one's own, its state blended as (1 - z) h + z h'."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.z, self.new = nn.Linear(2 * width, width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        both = torch.cat([x, h], 1)
        z = torch.sigmoid(self.z(both))
        return (1 - z) * h + z * torch.tanh(self.new(both))


class Plain(nn.Module):
    """tanh(W [x, h] + b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.enter(torch.cat([x, h], 1)))


class Letters(nn.Module):
    """Next letters by a cell over time; `deep` default tanh layers before the head."""

    def __init__(self, cell: str, width: int = 16, deep: int = 0) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS + 1, width)
        self.cell = {"gate": Gate, "plain": Plain, "gru": nn.GRUCell}[cell](
            *(width, width) if cell == "gru" else (width,)
        )
        self.start = nn.Parameter(torch.zeros(1, width))
        between = [m for _ in range(deep) for m in (nn.Linear(width, width), nn.Tanh())]
        self.head = nn.Sequential(*between, nn.Linear(width, LETTERS + 1))

    def forward(self, tokens: Tensor) -> Tensor:
        e, h, out = self.embed(tokens), self.start.expand(len(tokens), -1), []
        for t in range(tokens.shape[1]):
            h = self.cell(e[:, t], h)
            out.append(h)
        return self.head(torch.stack(out, 1))


def _words(skew: float) -> tuple[Tensor, Tensor]:
    """Words of letters that tell nothing of the next one, some far more frequent than others: the
    best there is are their frequencies. They begin with 0 and end in padding, which is no target.
    """
    odds = torch.arange(1, LETTERS + 1).float().pow(-skew)
    words = torch.multinomial(odds, BATCH * LONGEST, True).view(BATCH, LONGEST) + 1
    lengths = torch.randint(2, 8, (BATCH, 1))
    place = torch.arange(LONGEST)
    x = torch.where((place > 0) & (place <= lengths), words.roll(1, 1), 0)
    y = torch.where(place < lengths, words, torch.where(place == lengths, 0, -1))
    return x, y


def _found(
    path: Path, net: nn.Module, skew: float = 1.0, blind: bool = False, steps: int = 60
) -> dict[str, Finding]:
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    with evenflow.watch(net, optimizer, run=path, budget=1.0):
        for _ in range(steps):
            x, y = _words(skew)
            scores = net(torch.zeros_like(x) if blind else x)
            loss = F.cross_entropy(scores.flatten(0, 1), y.flatten(), ignore_index=-1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


@pytest.mark.parametrize("skew", [0.5, 2.0])
@pytest.mark.parametrize("cell", ["gate", "plain", "gru"])
def test_at_the_frequencies_of_letters_nothing_has_collapsed(
    tmp_path: Path, cell: str, skew: float
) -> None:
    torch.manual_seed(0)
    assert "EF205" not in _found(tmp_path / "run.evenflow", Letters(cell), skew)


@pytest.mark.parametrize("cell", ["gate", "plain", "gru"])
def test_a_model_that_is_shown_one_letter_only(tmp_path: Path, cell: str) -> None:
    torch.manual_seed(0)
    found = _found(tmp_path / "run.evenflow", Letters(cell), 0.5, blind=True)
    assert "EF205" in found


def test_thirty_layers_before_the_head_make_all_words_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = _found(tmp_path / "run.evenflow", Letters("plain", deep=30), 0.5)
    sites = evenflow.load(tmp_path / "run.evenflow").sites
    assert any(sites[i].path.startswith("head.") for i in found["EF205"].sites)
