"""Small networks of many kinds: `name -> (loss, model)`, seeded, without dropout.

They know nothing of Evenflow. Ops are out of place, so that a test can run each of them again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Made = tuple[Tensor, nn.Module]
NETWORKS: dict[str, Callable[[], Made]] = {}


def network(f: Callable[[], Made]) -> Callable[[], Made]:
    def seeded() -> Made:
        torch.manual_seed(sum(map(ord, f.__name__)))
        return f()

    NETWORKS[f.__name__] = seeded
    return f


def classify(model: nn.Module, x: Tensor, classes: int = 3) -> Made:
    return F.cross_entropy(model(x), torch.arange(len(x)) % classes), model


class Residual(nn.Module):
    def __init__(self, inner: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.inner, self.after = inner, after

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.inner(x)
        return y if self.after is None else self.after(y)


def perceptron(activation: Callable[[], nn.Module], depth: int = 5) -> Made:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(8, 8), activation()]
    return classify(nn.Sequential(*layers, nn.Linear(8, 3)), torch.randn(6, 8))


for made in (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.LeakyReLU,
             nn.Softplus, nn.Mish, nn.PReLU, nn.Softsign):  # fmt: skip

    def one(made: type[nn.Module] = made) -> Made:
        return perceptron(made)

    one.__name__ = f"perceptron_{made.__name__.lower()}"
    network(one)


@network
def perceptron_functional() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.a(x)) * 0.5
            k = F.gelu(self.b(h))
            return self.c(torch.cat([k, torch.sigmoid(k)], 1))

    model = Net()
    return (model(torch.randn(5, 8)) - 1.0).square().mean(), model


@network
def convolution() -> Made:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), nn.GroupNorm(2, 6), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip
    return classify(model, torch.randn(4, 1, 8, 8))


@network
def convolution_strided() -> Made:
    model = nn.Sequential(
        nn.Conv1d(2, 4, 5, stride=2), nn.Tanh(), nn.Conv1d(4, 4, 3, groups=2), nn.AvgPool1d(2),
        nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip
    return classify(model, torch.randn(4, 2, 21))


@network
def autoencoder_transposed() -> Made:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Tanh(), nn.ConvTranspose2d(2, 1, 3, padding=1),
    )  # fmt: skip
    x = torch.randn(3, 1, 8, 8)
    return F.mse_loss(model(x), x), model


def resnet(pre: bool) -> Made:
    def block() -> nn.Module:
        if pre:
            return Residual(
                nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
            )
        inner = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4),
        )  # fmt: skip
        return Residual(inner, nn.ReLU())

    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *(block() for _ in range(3)), *head)
    return classify(model, torch.randn(4, 1, 6, 6))


@network
def resnet_post() -> Made:
    return resnet(pre=False)


@network
def resnet_pre() -> Made:
    return resnet(pre=True)


@network
def resnet_projected() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 4, 3, padding=1)
            self.conv = nn.Conv2d(4, 8, 3, stride=2, padding=1)
            self.short = nn.Conv2d(4, 8, 1, stride=2)
            self.fc = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = F.relu(self.stem(x))
            return self.fc((F.relu(self.conv(h)) + self.short(h)).mean((2, 3)))

    return classify(Net(), torch.randn(4, 1, 8, 8))


@network
def densenet() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(6, 4)
            self.layers = nn.ModuleList(nn.Linear(4 * (i + 1), 4) for i in range(4))
            self.out = nn.Linear(20, 3)

        def forward(self, x: Tensor) -> Tensor:
            kept = [self.stem(x)]
            for layer in self.layers:
                kept.append(torch.tanh(layer(torch.cat(kept, 1))))
            return self.out(torch.cat(kept, 1))

    return classify(Net(), torch.randn(5, 6))


@network
def unet() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down1, self.down2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
            self.mid = nn.Conv2d(8, 8, 3, padding=1)
            self.up2 = nn.ConvTranspose2d(8, 4, 2, stride=2)
            self.up1 = nn.ConvTranspose2d(8, 4, 2, stride=2)
            self.join2, self.out = nn.Conv2d(12, 8, 3, padding=1), nn.Conv2d(8, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            a = F.relu(self.down1(x))
            b = F.relu(self.down2(F.max_pool2d(a, 2)))
            c = F.relu(self.mid(F.max_pool2d(b, 2)))
            d = F.relu(self.join2(torch.cat([self.up2(c), b], 1)))
            return self.out(torch.cat([self.up1(d), a], 1))

    model = Net()
    x = torch.randn(2, 1, 8, 8)
    return F.binary_cross_entropy_with_logits(model(x), (x > 0).float()), model


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width: int, pre: bool, causal: bool = False) -> None:
        super().__init__()
        self.attention = Attention(width, 2, causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.n1, self.n2, self.pre = nn.LayerNorm(width), nn.LayerNorm(width), pre

    def forward(self, x: Tensor) -> Tensor:
        if self.pre:
            x = x + self.attention(self.n1(x))
            return x + self.mlp(self.n2(x))
        x = self.n1(x + self.attention(x))
        return self.n2(x + self.mlp(x))


def transformer(pre: bool) -> Made:
    model = nn.Sequential(nn.Linear(5, 8), Block(8, pre), Block(8, pre), nn.Linear(8, 3))
    x = torch.randn(2, 4, 5)
    return F.cross_entropy(model(x).mean(1), torch.tensor([0, 2])), model


@network
def transformer_pre_norm() -> Made:
    return transformer(pre=True)


@network
def transformer_post_norm() -> Made:
    return transformer(pre=False)


@network
def transformer_of_torch() -> Made:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Linear(5, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, 3))
    return model(torch.randn(2, 4, 5)).square().mean(), model


@network
def gpt_tied() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(11, 8), nn.Embedding(6, 8)
            self.blocks = nn.ModuleList(Block(8, pre=True, causal=True) for _ in range(2))
            self.norm = nn.LayerNorm(8)

        def forward(self, ids: Tensor) -> Tensor:
            x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
            for block in self.blocks:
                x = block(x)
            return F.linear(self.norm(x), self.wte.weight)

    model = Net()
    ids = torch.randint(0, 11, (2, 6))
    return F.cross_entropy(model(ids).flatten(0, 1), ids.roll(-1, 1).flatten()), model


class Fused(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Linear(3, 4), kind(4, 5, batch_first=True)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(torch.tanh(self.embed(x)))[0][:, -1])


@network
def lstm_fused() -> Made:
    return classify(Fused(nn.LSTM), torch.randn(4, 6, 3))


@network
def gru_fused() -> Made:
    return classify(Fused(nn.GRU), torch.randn(4, 6, 3))


class Unrolled(nn.Module):
    """Gates by hand: torch's own cells are one function each, which a test cannot look into."""

    def __init__(self, kind: str, every: bool = False) -> None:
        super().__init__()
        self.kind, self.every = kind, every
        self.x, self.h = nn.Linear(3, 16 if kind == "lstm" else 4), nn.Linear(4, 16, bias=False)
        if kind == "rnn":
            self.h = nn.Linear(4, 4, bias=False)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), 4)
        seen = []
        for t in range(x.shape[1]):
            z = self.x(x[:, t]) + self.h(h)
            if self.kind == "rnn":
                h = torch.tanh(z)
            else:
                i, f, g, o = z.chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            seen.append(h)
        return self.out(torch.stack(seen, 1).mean(1) if self.every else h)


@network
def lstm_unrolled() -> Made:
    return classify(Unrolled("lstm"), torch.randn(4, 6, 3))


@network
def rnn_unrolled() -> Made:
    return classify(Unrolled("rnn"), torch.randn(4, 6, 3))


@network
def rnn_every_step() -> Made:
    return classify(Unrolled("rnn", every=True), torch.randn(4, 6, 3))


@network
def gan() -> Made:
    make = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh())
    judge = nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    told = judge(make(torch.randn(5, 4)))
    loss = F.binary_cross_entropy_with_logits(told, torch.ones(5, 1))
    return loss, nn.ModuleDict({"generator": make, "discriminator": judge})


@network
def variational() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.mean, self.scale = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 2)
            self.decode = nn.Linear(2, 6)

    model, x = Net(), torch.randn(4, 6)
    h = torch.relu(model.encode(x))
    m, s = model.mean(h), model.scale(h)
    back = model.decode(m + torch.exp(s * 0.5) * torch.randn(4, 2))
    divergence = (m.square() + torch.exp(s) - 1.0 - s).sum(1).mean() * 0.5
    return F.mse_loss(back, x) + divergence, model


@network
def siamese() -> Made:
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    a, b = model(torch.randn(5, 4)), model(torch.randn(5, 4))
    return (a - b).square().sum(1).mean(), model


@network
def squeeze_excitation() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.conv(x))
            h = h * torch.sigmoid(self.gate(h.mean((2, 3))))[:, :, None, None]
            return self.fc(h.mean((2, 3)))

    return classify(Net(), torch.randn(4, 1, 6, 6))


@network
def experts() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.gate = nn.Linear(4, 6), nn.Linear(6, 3)
            self.experts = nn.ModuleList(nn.Linear(6, 5) for _ in range(3))
            self.out = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.stem(x))
            p = torch.softmax(self.gate(h), 1)
            said = torch.stack([torch.relu(e(h)) for e in self.experts], 1)
            return self.out((said * p[:, :, None]).sum(1))

    return classify(Net(), torch.randn(5, 4))


@network
def highway() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
            self.h = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
            self.t = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            for h, t in zip(self.h, self.t, strict=True):
                gate = torch.sigmoid(t(x))
                x = gate * torch.relu(h(x)) + (1.0 - gate) * x
            return self.last(x)

    return classify(Net(), torch.randn(5, 4))


@network
def graph_convolution() -> Made:
    adjacency = (torch.rand(7, 7) > 0.5).float() / 3.5

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return adjacency @ self.b(torch.relu(adjacency @ self.a(x)))

    return classify(Net(), torch.randn(7, 4))


@network
def cancelling() -> Made:
    """Two branches that undo each other all but: f(x) - f(x)·(1 - 1e-6)."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.a(x))
            return self.b(h * 1.0 - h * (1 - 1e-6))

    return classify(Net(), torch.randn(5, 4))
