"""Auxiliary heads: a classifier on every few layers gives each a short way to an error. It mends
the way back; what the forward pass has lost (1 - c, all inputs alike) it does not bring back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zoo.data import Split, digits

from .base import Claim, Row, Rows, decades, percent
from .nets import BATCH, RATE, Plan, accuracy, batches, see, table

#: Of the auxiliary errors' mean beside the last head's error (GoogLeNet's; Szegedy et al. 2015).
SHARE = 0.3


class Headed(nn.Module):
    """A plain network with a head after every `every` layers; answers with the last one."""

    def __init__(self, plan: Plan, seed: int, every: int) -> None:
        super().__init__()
        self.body = plan.build(seed)
        self.every = every
        generator = torch.Generator().manual_seed(seed)
        self.heads = nn.ModuleList()
        for _ in range(every, plan.depth, every):
            head = nn.Linear(plan.width, 10)
            for p in head.parameters():  # torch's own bound, off the body's random numbers
                nn.init.uniform_(p, -(plan.width**-0.5), plan.width**-0.5, generator=generator)
            self.heads.append(head)

    def answers(self, x: Tensor) -> list[Tensor]:
        """Logits of each auxiliary head, then of the last."""
        out, layers = [], 0
        for part in self.body[:-1]:
            x = part(x)
            layers += isinstance(part, nn.Linear)
            if not isinstance(part, nn.Linear) and layers % self.every == 0:
                at = layers // self.every - 1
                if at < len(self.heads):
                    out.append(self.heads[at](x))
        return [*out, self.body[-1](x)]

    def forward(self, x: Tensor) -> Tensor:
        return self.answers(x)[-1]


def error(model: Headed, x: Tensor, y: Tensor, aided: bool) -> Tensor:
    """The last head's cross-entropy; `aided`: and a share of the mean of the others'."""
    *others, last = (nn.functional.cross_entropy(a, y) for a in model.answers(x))
    return last + SHARE * torch.stack(others).mean() if aided and others else last


def reached(model: Headed, data: Split, aided: bool) -> float:
    """log10 of rms ∂E/∂W of the first layer over that of the last hidden one, at birth."""
    layers = [m for m in model.body if isinstance(m, nn.Linear)]
    weights = [layers[0].weight, layers[-2].weight]
    loss = error(model, data.x[:BATCH], data.y[:BATCH], aided)
    first, last = (g.double().square().mean().sqrt() for g in torch.autograd.grad(loss, weights))
    return float((first / last).log10())


def learn(model: Headed, data: Split, epochs: int, seed: int, aided: bool) -> float:
    """Accuracy of the last head after training."""
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    torch.set_flush_denormal(True)
    try:
        for rows in batches(len(data.x), epochs, seed):
            adam.zero_grad(set_to_none=True)
            error(model, data.x[rows], data.y[rows], aided).backward()
            adam.step()
    finally:
        torch.set_flush_denormal(False)
    return accuracy(model, data.x_test, data.y_test)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    width, epochs, every = (64, 5, 5) if quick else (128, 15, 5)
    for name, depth, make in (
        ("tanh, depth 10", 10, nn.Tanh),
        ("tanh, depth 50", 50, nn.Tanh),
        ("sigmoid, depth 10", 10, nn.Sigmoid),
        ("sigmoid, depth 20", 20, nn.Sigmoid),
    ):
        if quick and depth > 10:
            continue
        for aided, word in ((False, ""), (True, " + heads")):
            nets = [Headed(Plan(depth, width, make), seed, every) for seed in seeds]
            figures = {"∂E/∂W decades": [reached(net, data, aided) for net in nets]}
            figures |= table([see(net.body, data.x[:128]) for net in nets], "spread")
            figures["accuracy"] = [
                learn(net, data, epochs, seed, aided) for net, seed in zip(nets, seeds, strict=True)
            ]
            rows.append(Row(name + word, figures))
    return rows


def tell(rows: Rows) -> str:
    def both(name: str, figure: str, words: Callable[[float], str]) -> str:
        return f"{words(rows(name, figure))} → {words(rows(f'{name} + heads', figure))}"

    def a(name: str) -> str:
        return both(name, "accuracy", percent)

    def back(name: str) -> str:
        return both(name, "∂E/∂W decades", decades)

    return (
        f"Only if the signal gets through. A head on every fifth layer always shortens the way "
        f"back (first layer's gradient over the last hidden one's, in decades: "
        f"{back('tanh, depth 10')}, {back('tanh, depth 50')}; {back('sigmoid, depth 10')}, "
        f"{back('sigmoid, depth 20')}) and helps tanh at 10 layers ({a('tanh, depth 10')}), little "
        f"at 50 ({a('tanh, depth 50')}), and a sigmoid network not at all "
        f"({a('sigmoid, depth 10')} at 10, {a('sigmoid, depth 20')} at 20): at its top all inputs "
        f"look alike, 1−c = {rows('sigmoid, depth 10', '1−c'):.0e}, and the budget does not part "
        f"them."
    )


def holds(rows: Rows) -> bool:
    def helped(name: str, figure: str) -> float:
        return rows(f"{name} + heads", figure) - rows(name, figure)

    names = ("tanh, depth 10", "sigmoid, depth 10")
    return (
        all(helped(name, "∂E/∂W decades") > 0.3 for name in names)
        and helped(names[0], "accuracy") > 0.02
        and helped(names[1], "accuracy") < 0.02
        and rows(names[1], "1−c") < 1e-6
    )


CLAIM = Claim(
    "auxiliary-heads",
    "Auxiliary heads, which shorten the error's path, help deep networks to train.",
    "true only if",
    "plain, torch's start, width 128, a head every 5 layers, digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
    source="Szegedy et al. 2015; Lee et al. 2015, Deeply-Supervised Nets",
)
