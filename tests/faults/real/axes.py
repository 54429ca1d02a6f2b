"""Along which axis, and who depends on whom: EF804, EF808, EF809."""

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

    def __init__(self, dim: int, product: bool = False, shown: int = 6) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(4, 20), nn.Linear(20, 1)
        self.score = nn.Linear(4, 20) if product else nn.Linear(20, 1)
        self.drop, self.dim, self.product, self.shown = nn.Dropout(0.1), dim, product, shown

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x[:, : self.shown]).tanh()
        if not self.product:
            return self.head((F.softmax(self.score(h).tanh(), self.dim) * h).sum(1))
        w = F.softmax(h @ self.score(x[:, -1])[:, :, None], self.dim)
        return self.head((self.drop(w).transpose(1, 2) @ h)[:, 0])


@real("EF804", "error", "one-value")
def weights_of_one_unit(sick: bool) -> None:
    fit(Pool(2 if sick else 1), steps)


@real("EF804", "error", "one-value")
def weights_of_one_unit_for_one_step(sick: bool) -> None:
    """A single step is data, a single unit is not."""
    fit(Pool(2 if sick else 1, shown=1), steps)


@real("EF804", "error", "one-value")
def weights_of_one_query(sick: bool) -> None:
    fit(Pool(2 if sick else 1, product=True), steps)


@real("EF804", "error", "one-value")
def weights_of_one_query_summed(sick: bool) -> None:
    class Summed(Pool):
        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x).tanh()
            w = F.softmax(h @ self.score(x[:, -1])[:, :, None], self.dim)
            return self.head((w * h).sum(1))

    fit(Summed(2 if sick else 1, product=True), steps)


@real("EF804", "error", "one-value")
def weights_of_one_channel(sick: bool) -> None:
    class Map(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.mask = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 1, 1)
            self.head = nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.body(x[:, None]).relu()
            return self.head((h * torch.softmax(self.mask(h), 1 if sick else 2)).sum((2, 3)))

    fit(Map(), steps)


@real("EF804", "error", "samples")
def words_among_samples(sick: bool) -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.score, self.head = nn.Embedding(9, 8), nn.Linear(8, 1), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x)
            w = torch.softmax(self.score(h)[..., 0], 0 if sick else 1)
            return self.head((w[..., None] * h).sum(1))

    fit(Words(), lambda: (torch.randint(9, (16, 6)), torch.randn(16, 1)))


@real("EF804", "error", "samples")
def weights_among_samples(sick: bool) -> None:
    """A batch as large as the layer is wide: such a table is not of pairs."""
    net = nn.Sequential(nn.Linear(24, 16), nn.Softmax(0 if sick else 1), nn.Linear(16, 1))
    fit(net, lambda: (torch.randn(16, 24), torch.randn(16, 1)))


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


@real("EF804", "error", "samples")
def a_softmax_among_samples_by_hand(sick: bool) -> None:
    """A loss by hand: what depends on what was measured."""

    class Scored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.head = nn.Linear(4, 1), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            w = torch.softmax(self.score(x).squeeze(2), 0 if sick else 1)
            return self.head((w[..., None] * x).sum(1))

    fit(Scored(), steps, lambda p, y: ((p - y) ** 2).mean())


@real("EF808", "error", "view-for-transpose")
def dealt_out_anew(sick: bool) -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 8), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = x.view(6, 16, 4) if sick else x.transpose(0, 1)
            return self.head(self.rnn(x)[0][-1])

    fit(Turned(), steps)


class Attention(nn.Module):
    """Tokens [N, 20] of twelve kinds; heads of 12, put side by side again or not."""

    def __init__(self, dealt: bool, fused: bool) -> None:
        super().__init__()
        self.embed, self.qkv = nn.Embedding(12, 48), nn.Linear(48, 144)
        self.out, self.head = nn.Linear(48, 48), nn.Linear(48, 5)
        self.dealt, self.fused = dealt, fused

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape
        h = self.embed(x)
        q, k, v = self.qkv(h).view(n, t, 3, 4, 12).permute(2, 0, 3, 1, 4)
        if self.fused:
            heads = F.scaled_dot_product_attention(q, k, v)
        else:
            heads = F.dropout((q @ k.transpose(-2, -1) / 12**0.5).softmax(-1), 0.1) @ v
        if not self.dealt:
            heads = heads.transpose(1, 2)
        return self.head((h + self.out(heads.reshape(n, t, 48))).mean(1))


def tokens() -> tuple[Tensor, Tensor]:
    x = torch.randint(12, (32, 20))
    return x, x[:, :3].sum(1) % 5


@real("EF808", "", "view-for-transpose")
def heads_taken_for_steps(sick: bool) -> None:
    fit(Attention(sick, fused=False), tokens, F.cross_entropy)


@real("EF808", "", "view-for-transpose")
def fused_heads_taken_for_steps(sick: bool) -> None:
    fit(Attention(sick, fused=True), tokens, F.cross_entropy)


@real("EF808", "", "view-for-transpose")
def channels_taken_for_columns(sick: bool) -> None:
    """A recurrent layer reads the columns of maps [N, 16, 8, 12]: 16 divides by none of 12."""

    class Columns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.rnn = nn.Conv2d(1, 24, 3, padding=1), nn.GRU(192, 16, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu()
            h = h if sick else h.permute(0, 3, 1, 2)
            return self.head(self.rnn(h.reshape(len(x), 12, 192))[0][:, -1])

    fit(Columns(), maps, F.cross_entropy)


def maps() -> tuple[Tensor, Tensor]:
    x = torch.randn(32, 1, 8, 12)
    return x, (x[:, 0, :4].mean((1, 2)) > 0).long()


@real("EF808", "", "view-for-transpose")
def classes_taken_for_pixels(sick: bool) -> None:
    """Of maps of three classes [N, 3, 8, 12] a loss is given rows: 3 divides 96."""

    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x)
            return h.reshape(-1, 3) if sick else h.permute(0, 2, 3, 1).reshape(-1, 3)

    fit(Pixels(), lambda: (x := maps()[0], (x[:, 0] > 0).long().flatten()), F.cross_entropy)


@real("EF808", "", "view-for-transpose")
def colours_taken_for_rows(sick: bool) -> None:
    class Pictures(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(480, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.view(-1, 3, 8, 12) if sick else x.permute(0, 3, 1, 2))

    fit(Pictures(), lambda: (x := torch.randn(16, 8, 12, 3), x[:, :4, :, 0].mean((1, 2))[:, None]))


@real()
def axes_split_and_joined_on_purpose(sick: bool) -> None:
    """Two frames made one; channels in groups; a map as so many capsules of 8."""

    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(20, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x.reshape(len(x), 10, 20))[0][:, -1])

    class Groups(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 32, 3), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x.reshape(len(x), 1, 10, 20))
            groups = h.view(len(x), 8, 4 * 8 * 18).mean(2)  # as many groups as rows
            return self.head(groups + h.view(len(x), -1, 8).mean(1))

    fit(
        Frames() if sick else Groups(),
        lambda: (x := torch.randn(16, 20, 10), x[:, :5, 0].mean(1, True)),
    )


@real("EF808", "error", "time-first")
def samples_taken_for_time(sick: bool) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 8, batch_first=not sick), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    fit(Last(), steps)


@real("EF809", "error")
def a_future_that_is_read(sick: bool) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rnn = nn.Embedding(9, 8), nn.GRU(8, 8, 1, True, True, 0.0, sick)
            self.head = nn.Linear(16 if sick else 8, 9)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(self.embed(x))[0]).transpose(1, 2)

    def text() -> tuple[Tensor, Tensor]:
        x = torch.randint(9, (8, 7))
        return x[:, :-1], x[:, 1:]

    fit(Model(), text, F.cross_entropy)


@real()
def choices_among_samples(sick: bool) -> None:
    """Experts that choose their samples, and a softmax along both axes: meant so."""

    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.body, self.head = nn.Linear(24, 3), nn.Linear(24, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            z = self.gate(x.flatten(1))
            w = z.softmax(0)
            w = w * (w >= w.topk(4, 0).values[-1:]) if sick else w * z.softmax(1)
            return self.head(w * self.body(x.flatten(1)))

    fit(Experts(), steps)


class Normal(nn.Module):
    """What a body makes of the data, normalised along `dim`, and a head."""

    def __init__(self, body: nn.Module, dim: int) -> None:
        super().__init__()
        self.body, self.head, self.dim = body, nn.Linear(12, 1), dim

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.normalize(self.body(x), dim=self.dim))


@real("EF804", "error", "samples")
def steps_normalised_among_samples(sick: bool) -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(24, 12))
    fit(Normal(body, 0 if sick else 1), steps)


@real("EF804", "error", "samples")
def words_normalised_among_samples(sick: bool) -> None:
    body = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(24, 12))
    fit(Normal(body, int(not sick)), lambda: (torch.randint(9, (16, 6)), torch.randn(16, 1)))
