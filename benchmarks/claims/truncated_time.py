"""Truncated back-propagation through time: the state goes on, the error stops k steps back. What
lies farther back than k is never learned; what explodes on the way is cut off with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenflow.lessons.through_time import BOOK, KINDS, LENGTH, LETTERS

from .base import Claim, Row, Rows, percent

WIDTH, WINDOW = 32, 8
#: How many steps before the question the marked letter stands.
FAR, NEAR = LENGTH - 1, 4


class Reader(nn.Module):
    """Letters [B, T] -> logits [B, 4] at the last step; the error goes back `window` steps."""

    def __init__(self, kind: str, gain: float) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), WIDTH)
        make = {"RNN": nn.RNN, "LSTM": nn.LSTM}[kind]
        self.memory: nn.RNNBase = make(WIDTH, WIDTH, batch_first=True)
        self.out = nn.Linear(WIDTH, KINDS)
        with torch.no_grad():
            if kind == "LSTM":  # a forget gate that is open (lesson through-time)
                self.memory.get_parameter("bias_ih_l0")[WIDTH : 2 * WIDTH] += 4
            else:
                recurrent = self.memory.get_parameter("weight_hh_l0")
                nn.init.orthogonal_(recurrent)
                recurrent.mul_(gain)

    def forward(self, ids: Tensor, window: int | None = None) -> Tensor:
        x, state = self.letters(ids), None
        if window is not None:
            with torch.no_grad():
                _, state = self.memory(x[:, :-window])
            x = x[:, -window:]
        logits: Tensor = self.out(self.memory(x, state)[0][:, -1])
        return logits


def passages(n: int, back: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """n passages [n, T] of a book, the letter `back` steps before the last replaced by
    "abcd"[y], and y [n]. (Near or far, it is the place alone that tells it from the others.)"""
    book = torch.tensor([LETTERS.index(c) for c in BOOK])
    y = torch.randint(0, KINDS, (n,), generator=generator)
    start = torch.randint(0, len(book) - LENGTH, (n, 1), generator=generator)
    ids = book[start + torch.arange(LENGTH)]
    ids[:, LENGTH - 1 - back] = y + 1
    return ids, y


def recalls(
    kind: str, gain: float, back: int, window: int | None, seed: int, steps: int
) -> tuple[float, float]:
    """Share recalled of 400 new passages after training, and the largest |gradient| met."""
    torch.manual_seed(seed)
    model, generator = Reader(kind, gain), torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    largest = 0.0
    for _ in range(steps):
        ids, y = passages(32, back, generator)
        adam.zero_grad()
        nn.functional.cross_entropy(model(ids, window), y).backward()
        largest = max(largest, float(nn.utils.get_total_norm(p.grad for p in model.parameters())))
        adam.step()
    ids, y = passages(400, back, generator)
    with torch.no_grad():
        return float((model(ids).argmax(1) == y).float().mean()), largest


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    rows, steps = Rows(), 150 if quick else 1000
    for kind, gain, back, word in (
        ("LSTM", 1.0, FAR, f"LSTM, {FAR} steps back"),
        ("LSTM", 1.0, NEAR, f"LSTM, {NEAR} steps back"),
        ("RNN", 1.0, NEAR, f"RNN, {NEAR} steps back"),
        ("RNN", 2.0, NEAR, f"exploding RNN, {NEAR} steps back"),
    ):
        if quick and kind == "RNN":
            continue
        for window in (None, WINDOW):
            found = [recalls(kind, gain, back, window, seed, steps) for seed in seeds]
            rows.append(
                Row(
                    word + (f", truncated to {window}" if window else ""),
                    {"recalled": [f[0] for f in found], "largest |∂E/∂w|": [f[1] for f in found]},
                )
            )
    return rows


def tell(rows: Rows) -> str:
    def both(word: str, back: int) -> str:
        name = f"{word}, {back} steps back"
        short = f"{name}, truncated to {WINDOW}"
        return f"{percent(rows(name, 'recalled'))} → {percent(rows(short, 'recalled'))}"

    explodes = f"exploding RNN, {NEAR} steps back"
    return (
        f"Only if what counts lies within the window. Truncated to {WINDOW} steps an LSTM recalls "
        f"a letter {FAR} steps back in {both('LSTM', FAR)} of passages (chance 25 %; no error ever "
        f"gets there, what is recalled the untrained steps happened to carry). A letter {NEAR} "
        f"steps back: LSTM {both('LSTM', NEAR)}, RNN {both('RNN', NEAR)}, an RNN started with "
        f"recurrent weights twice too large {both('exploding RNN', NEAR)}, its largest gradient "
        f"{rows(explodes, 'largest |∂E/∂w|'):.3g} → "
        f"{rows(f'{explodes}, truncated to {WINDOW}', 'largest |∂E/∂w|'):.3g}."
    )


def holds(rows: Rows) -> bool:
    far, wild = f"LSTM, {FAR} steps back", f"exploding RNN, {NEAR} steps back"
    short = f", truncated to {WINDOW}"
    harms = rows(far + short, "recalled") < rows(far, "recalled") - 0.15
    if not any(row.setting == wild for row in rows):  # in the reduced form
        return harms
    return harms and rows(wild + short, "recalled") > rows(wild, "recalled")


CLAIM = Claim(
    "truncation-through-time",
    "Truncated back-propagation through time, which shortens the error's path, helps.",
    "true only if",
    "LSTM and tanh RNN of width 32 on 30 letters of a book, 1000 updates, Adam 3e-3",
    measure,
    tell,
    holds,
    source="Williams & Peng 1990; Sutskever 2013, section 2.8.6",
)
