"""A network reads a text letter by letter. The first letter is one of four; then come 29 letters
of a book that say nothing about it; and at the end it is asked: which was the first?

## The way back through time
The answer is made at the last step, the evidence lies at the first. What can be learned is
decided by ∂y_T / ∂x_1, and that is made differently by each kind of network:

    RNN        h_t = tanh(W x_t + U h_{t-1})     a factor Uᵀ diag(1 - h_t²) at every step
    LSTM       c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t   a factor f_t along the cell, between 0 and 1
    attention  y = Σ_t a_t v_t                   a factor a_t, once, however far back

## The forget gate
An LSTM's f_t is a sigmoid. Started around bias 0 it is about ½, and ½ to the 29th is 2e-9: such a
cell forgets as fast as an RNN. Started at bias 4 it is 0.98, and over half of it arrives. The
cell gives a road through time; the bias opens it. (Jozefowicz et al., ICML 2015, advise 1;
Tallec & Ollivier, ICLR 2018, a bias like the logarithm of the time to be bridged.)

## What is measured
Before training: the gradient of the last output by the input at each step, with a cotangent on
the last step only. (With a loss at every step the near ones hide that the far ones are gone.)
After training: the share of first letters remembered, on passages drawn anew; chance is 25 %.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..lang import N_, _
from ..tape import through_time
from .base import Lesson, Plot, Result, Table, curve

#: Lewis Carroll, Alice's Adventures in Wonderland (1865), the beginning; in the public domain.
BOOK = (
    "alice was beginning to get very tired of sitting by her sister on the bank and of having "
    "nothing to do once or twice she had peeped into the book her sister was reading but it had "
    "no pictures or conversations in it and what is the use of a book thought alice without "
    "pictures or conversations so she was considering in her own mind as well as she could for "
    "the hot day made her feel very sleepy and stupid whether the pleasure of making a daisy "
    "chain would be worth the trouble of getting up and picking the daisies when suddenly a "
    "white rabbit with pink eyes ran close by her"
)
LETTERS = " abcdefghijklmnopqrstuvwxyz"
KINDS, LENGTH, WIDTH, SEEDS, STEPS, LR = 4, 30, 20, 3, 100, 0.02


class LetterReader(nn.Module):
    """Letters [B, T] -> logits [B, 4], from what the last step knows."""

    def __init__(self, kind: str, forget: float = 0.0) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), WIDTH)
        self.out = nn.Linear(WIDTH, KINDS)
        if kind == "attention":
            self.places = nn.Parameter(0.5 * torch.randn(LENGTH, WIDTH))
            self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        else:
            make = nn.RNN if kind == "rnn" else nn.LSTM
            self.memory: nn.RNNBase = make(WIDTH, WIDTH, batch_first=True)
            if forget:
                with torch.no_grad():  # gates lie in the order input, forget, cell, output
                    bias = self.memory.get_parameter("bias_ih_l0")
                    bias[WIDTH : 2 * WIDTH] += forget
        self.kind = kind

    def last(self, x: Tensor) -> Tensor:
        """Embedded letters [B, T, D] -> the last step's output [B, D]."""
        if self.kind != "attention":
            out: Tensor = self.memory(x)[0][:, -1]
            return out
        x = x + self.places
        asked = self.query(x[:, -1:])
        return F.scaled_dot_product_attention(asked, self.key(x), self.value(x))[:, 0]

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.out(self.last(self.letters(ids)))
        return logits


READERS = {
    "RNN": ("rnn", 0.0),
    N_("LSTM, forget bias 0"): ("lstm", 0.0),
    N_("LSTM, forget bias 4"): ("lstm", 4.0),
    N_("attention"): ("attention", 0.0),
}


def passages(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """n passages [n, T] of the book, their first letter replaced by "abcd"[y], and y [n]."""
    book = torch.tensor([LETTERS.index(c) for c in BOOK])
    y = torch.randint(0, KINDS, (n,), generator=generator)
    start = torch.randint(0, len(book) - LENGTH, (n, 1), generator=generator)
    ids = book[start + torch.arange(LENGTH)]
    ids[:, 0] = y + 1
    return ids, y


def reader(name: str, seed: int) -> tuple[LetterReader, torch.Generator]:
    """A reader and the generator its passages come from; the global generator stays as it was."""
    kind, forget = READERS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LetterReader(kind, forget)
    return model, torch.Generator().manual_seed(seed)


def reach(model: LetterReader, x: Tensor) -> list[float]:
    """|∂(c · y_T) / ∂x_t| for t = 1 .. T, c = +1, -1, +1, ...; x [B, T, D] embedded letters."""
    x = x.detach().requires_grad_()
    y = model.last(x)
    sign = 1.0 - 2.0 * (torch.arange(y.numel()) % 2).view_as(y)
    (grad,) = torch.autograd.grad(y, x, sign.to(y.dtype))
    return [float(v) for v in grad.double().transpose(0, 1).flatten(1).norm(dim=1)]


def recalls(name: str, seed: int) -> float:
    """Share of 400 new passages whose first letter it tells after training."""
    model, generator = reader(name, seed)
    adam = torch.optim.Adam(model.parameters(), lr=LR)
    for _step in range(STEPS):
        ids, y = passages(32, generator)
        adam.zero_grad()
        F.cross_entropy(model(ids), y).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    ids, y = passages(400, generator)
    with torch.no_grad():
        return float((model(ids).argmax(1) == y).double().mean())


def run() -> Result:
    rows, curves, numbers = [], [], {}
    for name in READERS:
        model, generator = reader(name, 0)
        ids = passages(2, generator)[0]
        far = reach(model.double(), model.letters(ids))
        decades = math.log10(far[0] / far[-1])
        numbers[f"decades, {name}"] = decades
        if model.kind != "attention":
            flow = through_time(model.float().memory, model.letters(ids))
            assert flow is not None
            numbers[f"as the tape's probe reads it, {name}"] = flow
        scores = [recalls(name, seed) for seed in range(SEEDS)]
        numbers[f"recalls, {name}"] = float(np.median(scores))
        rows.append((_(name), decades, min(scores), float(np.median(scores)), max(scores)))
        curves.append(curve(_(name), far, range(1, LENGTH + 1)))
    return Result(
        (
            Plot(
                _("How far back the last answer reaches, before training"),
                _("step t (the question is asked at 30)"),
                "|∂y_T/∂x_t|",
                tuple(curves),
                log_y=True,
            ),
            Table(
                _(
                    "Decades from the last step to the first, and what is recalled after {steps} "
                    "updates"
                ).format(steps=STEPS),
                (_("network"), _("decades"), _("least"), _("median"), _("most")),
                tuple(rows),
            ),
            _(
                "Given many more updates the others may get there too: the gradient is small, not "
                "zero, and Adam scales it up. What is shown is who has it from the start."
            ),
        ),
        numbers,
    )


LESSON = Lesson(
    "through-time",
    "Gradients through time: RNN, LSTM, attention",
    __doc__,
    run,
    SEEDS,
    question=("With the forget gate at ½, how many steps back is the gradient a thousandth?"),
    answer=("Ten: ½ to the 10th is 1/1024."),
    see=("EF101", "EF102", "activations tanh"),
)
