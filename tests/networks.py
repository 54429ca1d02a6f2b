"""Trainings of many kinds, as users write them: `kind(steps) -> tensors to compare`.

They know nothing of Evenflow: the tests run them bare and watched and compare to the bit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Training = Callable[[int], list[Tensor]]
KINDS: dict[str, Training] = {}


def kind(f: Training) -> Training:
    KINDS[f.__name__] = f
    return f


def fit(
    model: nn.Module,
    batch: Callable[[], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    make: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    lr: float = 1e-3,
) -> list[Tensor]:
    optimizer = make(model.parameters(), lr=lr)
    for _ in range(steps):
        x, y = batch()
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return list(model.state_dict().values())


def rows(n: int = 8, classes: int = 3, batch: int = 16) -> Callable[[], tuple[Tensor, Tensor]]:
    return lambda: (torch.randn(batch, n), torch.randint(0, classes, (batch,)))


@kind
def perceptron(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 3))
    return fit(model, rows(), F.cross_entropy, steps)


@kind
def functional_inplace(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(32, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = F.relu(self.a(x), inplace=True)
            k = self.b(h).relu_()
            k = k + h
            k += 1.0
            return self.c(torch.cat([torch.sigmoid(k), F.gelu(h)], 1))

    return fit(Net(), rows(), F.cross_entropy, steps, torch.optim.SGD)


@kind
def convolution(steps: int) -> list[Tensor]:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    return fit(
        model, lambda: (torch.randn(4, 1, 8, 8), torch.randint(0, 3, (4,))), F.cross_entropy, steps
    )


@kind
def convolution_1d_3d(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.three = nn.Conv1d(2, 4, 3), nn.Conv3d(1, 2, 2)
            self.out = nn.Linear(4 * 6 + 2 * 27, 3)

        def forward(self, x: Tensor) -> Tensor:
            a = F.leaky_relu(self.one(x.view(-1, 8, 8)[:, :2]))
            b = F.elu(self.three(x.view(-1, 1, 4, 4, 4)))
            return self.out(torch.cat([a.flatten(1), b.flatten(1)], 1))

    return fit(Net(), rows(64, batch=4), nn.CrossEntropyLoss(), steps)


@kind
def residual_shared(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.norm, self.out = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):  # the same weights three times
                x = x + F.relu(self.inner(self.norm(x)))
            return self.out(x)

    return fit(Net(), rows(), F.cross_entropy, steps, torch.optim.RMSprop)


@kind
def two_losses(steps: int) -> list[Tensor]:
    trunk, one, two = nn.Linear(8, 16), nn.Linear(16, 3), nn.Linear(16, 1)
    optimizer = torch.optim.AdamW([*trunk.parameters(), *one.parameters(), *two.parameters()])
    for _ in range(steps):
        x, y = rows()()
        optimizer.zero_grad()
        h = torch.tanh(trunk(x))
        first, second = F.cross_entropy(one(h), y), F.mse_loss(two(h)[:, 0], x[:, 0])
        first.backward(retain_graph=True)
        torch.autograd.backward([second])
        optimizer.step()
    return [*trunk.parameters(), *one.parameters(), *two.parameters()]


@kind
def gan(steps: int) -> list[Tensor]:
    make = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
    tell = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    opt_g, opt_d = (
        torch.optim.Adam(make.parameters(), 1e-3),
        torch.optim.Adam(tell.parameters(), 1e-3),
    )
    loss = nn.BCEWithLogitsLoss()
    for _ in range(steps // 2):
        real, fake = torch.randn(16, 8), make(torch.randn(16, 4))
        opt_d.zero_grad()
        right, wrong = tell(real), tell(fake.detach())
        (loss(right, torch.ones_like(right)) + loss(wrong, torch.zeros_like(wrong))).backward()
        opt_d.step()
        opt_g.zero_grad()
        out = tell(fake)
        loss(out, torch.ones_like(out)).backward()
        opt_g.step()
    return [*make.parameters(), *tell.parameters()]


@kind
def gradient_penalty(steps: int) -> list[Tensor]:
    tell = nn.Sequential(nn.Linear(8, 16), nn.Softplus(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(tell.parameters(), 1e-3)
    for _ in range(steps):
        x = torch.randn(16, 8, requires_grad=True)
        y = tell(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        optimizer.zero_grad()
        (y.mean() + ((slope.norm(dim=1) - 1) ** 2).mean()).backward()
        optimizer.step()
    return list(tell.parameters())


@kind
def unrolled_cell(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.out = nn.RNNCell(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(x.shape[0], 8)
            for t in range(x.shape[1]):
                h = self.cell(x[:, t], h)
            return self.out(h)

    return fit(
        Net(), lambda: (torch.randn(8, 6, 4), torch.randint(0, 3, (8,))), F.cross_entropy, steps
    )


def _recurrent(layer: nn.Module, steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.out = layer, nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.layer(x)[0][:, -1])

    return fit(
        Net(), lambda: (torch.randn(8, 6, 4), torch.randint(0, 3, (8,))), F.cross_entropy, steps
    )


@kind
def lstm_dropout(steps: int) -> list[Tensor]:
    return _recurrent(nn.LSTM(4, 8, 2, batch_first=True, dropout=0.3), steps)


@kind
def gru(steps: int) -> list[Tensor]:
    return _recurrent(nn.GRU(4, 8, batch_first=True), steps)


@kind
def rnn(steps: int) -> list[Tensor]:
    return _recurrent(nn.RNN(4, 8, batch_first=True), steps)


@kind
def transformer(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
            self.body, self.out = nn.TransformerEncoder(layer, 2), nn.Linear(8, 11)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.body(self.embed(x)))

    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    seen = []
    for i in range(steps):
        x = torch.randint(0, 11, (4, 7))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, 1), x.flatten())
        if i % 3 == 0:  # evaluation between forward and backward, on the fast path
            model.eval()
            with torch.no_grad():
                seen.append(model(x).sum())
            model.train()
        loss.backward()
        optimizer.step()
    return [*model.parameters(), *seen]


@kind
def decoder_attention(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.norm = nn.Embedding(11, 8), nn.LayerNorm(8)
            self.qkv, self.back, self.out = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 11)

        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x)
            q, k, v = (
                self.qkv(self.norm(h)).view(*x.shape, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            )
            a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(h + self.back(a.transpose(1, 2).flatten(2)))

    def loss(y: Tensor, x: Tensor) -> Tensor:
        return F.cross_entropy(y[:, :-1].flatten(0, 1), x[:, 1:].flatten())

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 11, (4, 7))
        return x, x

    return fit(Net(), batch, loss, steps)


@kind
def autocast_bf16(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for _ in range(steps):
        x, y = rows()()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return list(model.parameters())


@kind
def autocast_fp16_scaler(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=20)
    for _ in range(steps):
        x, y = rows()()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    return [*model.parameters(), torch.tensor(scaler.get_scale())]


@kind
def accumulation(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(3):
            x, y = rows()()
            (F.cross_entropy(model(x), y) / 3).backward()
        optimizer.step()
    return list(model.parameters())


def _checkpointed(reentrant: bool, steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.out = nn.Linear(8, 16), nn.Linear(16, 3)
            self.body = nn.Sequential(
                nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16)
            )

        def forward(self, x: Tensor) -> Tensor:
            h: Any = checkpoint(self.body, torch.tanh(self.a(x)), use_reentrant=reentrant)
            return self.out(h)

    return fit(Net(), rows(), F.cross_entropy, steps)


@kind
def checkpoint_plain(steps: int) -> list[Tensor]:
    return _checkpointed(False, steps)


@kind
def checkpoint_reentrant(steps: int) -> list[Tensor]:
    return _checkpointed(True, steps)


@kind
def frozen(steps: int) -> list[Tensor]:
    body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU())
    head = nn.Linear(16, 3)
    body.requires_grad_(False)
    body.eval()
    optimizer = torch.optim.SGD(head.parameters(), 0.1)
    for _ in range(steps):
        x, y = rows()()
        optimizer.zero_grad()
        F.cross_entropy(head(body(x)), y).backward()
        optimizer.step()
    return [*body.state_dict().values(), *head.parameters()]


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


@kind
def custom_function(steps: int) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(Cube.apply(torch.tanh(self.a(x))))

    return fit(Net(), rows(), F.cross_entropy, steps)


@kind
def lbfgs(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    x, y = torch.randn(32, 8), torch.randn(32, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    for _ in range(min(steps, 40)):
        optimizer.step(closure)
    return list(model.parameters())


@kind
def by_hand(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
    for _ in range(steps):
        x, y = rows()()
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for p in model.parameters():
                assert p.grad is not None
                p -= 0.05 * p.grad
    return list(model.parameters())


@kind
def raw_tensors(steps: int) -> list[Tensor]:
    w1 = (torch.randn(8, 16) * 0.3).requires_grad_()
    w2 = (torch.randn(16, 3) * 0.3).requires_grad_()
    for _ in range(steps):
        x, y = rows()()
        loss = F.cross_entropy(torch.tanh(x @ w1) @ w2, y)
        g1, g2 = torch.autograd.grad(loss, [w1, w2])
        with torch.no_grad():
            w1 -= 0.05 * g1
            w2 -= 0.05 * g2
    return [w1, w2]


@kind
def threads(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(min(steps, 60)):
        x, y = rows()()
        optimizer.zero_grad()
        out: list[Any] = [None, None]

        def work(i: int, out: list[Any] = out, x: Tensor = x) -> None:
            out[i] = model(x[i::2])

        for i in range(2):  # one after the other: sums of gradients must not depend on a race
            t = threading.Thread(target=work, args=(i,))
            t.start()
            t.join()
        (F.cross_entropy(out[0], y[0::2]) + F.cross_entropy(out[1], y[1::2])).backward()
        optimizer.step()
    return list(model.parameters())


@kind
def user_modes(steps: int) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(steps):
        x, y = rows()()
        with torch.device("cpu"), torch.overrides.BaseTorchFunctionMode():
            optimizer.zero_grad()
            out = model(x)
        F.cross_entropy(out, y).backward()
        optimizer.step()
    assert torch._C._len_torch_function_stack() == 0
    return list(model.parameters())
