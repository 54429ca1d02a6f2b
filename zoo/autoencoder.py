"""Dense autoencoders of digits and of tumour measurements (calibration half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import Split, breast_cancer, digits
from .loop import Loss, batches, fit, seed_all


class Autoencoder(nn.Module):
    """n -> 32 -> code -> 32 -> n."""

    def __init__(
        self,
        n: int,
        code: int = 8,
        act: Callable[[], nn.Module] = nn.ReLU,
        end: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n, 32), act(), nn.Linear(32, code))
        self.decoder = nn.Sequential(nn.Linear(code, 32), act(), nn.Linear(32, n))
        self.end = end()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.end(self.decoder(self.encoder(x)))
        return out


def rebuilt(model: nn.Module, d: Split) -> float:
    """Share of the held-out variance that is rebuilt; -1 at worst, and for NaN."""
    model.eval()
    with torch.no_grad():
        error = ((model(d.x_test) - d.y_test) ** 2).mean() / d.y_test.var(0).mean()
    model.train()
    return max(-1.0, 1 - float(error)) if bool(error.isfinite()) else -1.0


def rebuilt_evenly(model: nn.Module, d: Split) -> float:
    """The same share of each measurement by itself, then the mean; -1 at worst, and for NaN."""
    model.eval()
    with torch.no_grad():
        error = ((model(d.x_test) - d.y_test) ** 2).mean(0) / d.y_test.var(0)
    model.train()
    return 1 - float(error.clamp(max=2).mean()) if bool(error.isfinite().all()) else -1.0


def itself(d: Split) -> Split:
    """The input is the target."""
    return d._replace(y=d.x, y_test=d.x_test)


def log_error(out: Tensor, y: Tensor) -> Tensor:
    """Mean square of logarithms; the mistake: a ReLU output is 0 now and then."""
    return F.mse_loss(torch.log(out), torch.log1p(y))


def log1p_error(out: Tensor, y: Tensor) -> Tensor:
    """Mean square of logarithms of 1 + x."""
    return F.mse_loss(torch.log1p(out), torch.log1p(y))


def train(
    seed: int,
    *,
    code: int = 8,
    act: Callable[[], nn.Module] = nn.ReLU,
    end: Callable[[], nn.Module] = nn.Identity,
    loss: Loss = F.mse_loss,
    scale: str = "standard",
    target: str = "",
    binary: bool = False,
    optimizer: str = "Adam",
    lr: float = 3e-3,
    steps: int = 250,
    only: str = "",
    bias: float | None = None,
) -> float:
    """An autoencoder of digits; share of the held-out variance rebuilt.

    `binary` makes the pixels black or white, `target` scales the pixels that are to be rebuilt,
    `only` is the part of the network whose parameters the optimizer is given, `bias` a constant
    the hidden biases start from.
    """
    seed_all(seed)
    data = itself(digits(scale))
    if target:
        data = data._replace(y=digits(target).x, y_test=digits(target).x_test)
    if binary:
        data = itself(data._replace(x=(data.x > 0.5).float(), x_test=(data.x_test > 0.5).float()))
    model = Autoencoder(64, code, act, end)
    if bias is not None:
        for part in (model.encoder, model.decoder):
            nn.init.constant_(part[0].bias, bias)  # type: ignore[arg-type]
    params = getattr(model, only).parameters() if only else model.parameters()
    opt = getattr(torch.optim, optimizer)(params, lr)
    fit(model, opt, data, steps=steps, loss=loss)
    return rebuilt(model, data)


def train_stalled(seed: int, *, lr: float) -> float:
    """The decoder's last layer has a parameter group of its own; share of variance rebuilt."""
    seed_all(seed)
    data = itself(digits())
    model = Autoencoder(64)
    last = list(model.decoder[2].parameters())
    rest = [p for p in model.parameters() if all(p is not q for q in last)]
    groups: list[dict[str, Any]] = [{"params": rest}, {"params": last, "lr": lr}]
    opt = torch.optim.Adam(groups, 3e-3)
    fit(model, opt, data, steps=250, loss=F.mse_loss)
    return rebuilt(model, data)


def train_half(seed: int, *, scaler: bool) -> float:
    """Autocast to float16, with or without a GradScaler; share of variance rebuilt.

    The loss is a mean over 64 x 64 numbers and is weighted by 3e-5 (one term of many in the
    script this is taken after), so the layer errors lie below float16's smallest numbers.
    """
    seed_all(seed)
    data = itself(digits())
    model = Autoencoder(64)
    opt = torch.optim.Adam(model.parameters(), 3e-3)
    scale = torch.amp.GradScaler("cpu", enabled=scaler)
    for _ in range(250):
        b = torch.randint(len(data.x), (64,))
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = 3e-5 * F.mse_loss(model(data.x[b]), data.y[b])
        scale.scale(loss).backward()  # type: ignore[no-untyped-call]
        scale.step(opt)
        scale.update()
    return rebuilt(model, data)


def train_apart(seed: int, *, wrong: bool = False, cut: bool = False) -> float:
    """Encoder and decoder have an optimizer each; share of variance rebuilt.

    `wrong` gives both optimizers the decoder's parameters, `cut` detaches the code.
    """
    seed_all(seed)
    data = itself(digits())
    model = Autoencoder(64, 3)
    first = torch.optim.Adam((model.decoder if wrong else model.encoder).parameters(), 3e-3)
    second = torch.optim.Adam(model.decoder.parameters(), 3e-3)
    for b in batches(len(data.x), 64, 250):
        code = model.encoder(data.x[b])
        out = model.decoder(code.detach() if cut else code)
        first.zero_grad()
        second.zero_grad()
        F.mse_loss(out, data.x[b]).backward()  # type: ignore[no-untyped-call]
        first.step()
        second.step()
    return rebuilt(model, data)


def train_tumours(
    seed: int,
    *,
    missing: bool = False,
    outlier: bool = False,
    raw: bool = False,
    optimizer: str = "Adam",
    lr: float = 3e-3,
    size: int = 32,
) -> float:
    """An autoencoder of 30 measurements; share of variance rebuilt.

    `missing` leaves gaps in one column as NaN, `outlier` is one reading of 1e6, `raw`
    asks for the measurements in their own units while the input is standardised.
    """
    seed_all(seed)
    data = itself(breast_cancer())
    if raw:
        data = data._replace(y=breast_cancer(False).x, y_test=breast_cancer(False).x_test)
    if missing:
        data.x[::50, 3] = torch.nan
    if outlier:
        data = itself(data._replace(x=data.x.clone()))
        data.x[9, 4] = 1e6
    model = Autoencoder(30, 4)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr)
    fit(model, opt, data, steps=250, loss=F.mse_loss, size=size)
    return rebuilt_evenly(model, data)


_sick, _healthy = partial(sick, "autoencoder"), partial(healthy, "autoencoder")

CASES: tuple[Case, ...] = (
    _sick(
        "log-of-zero",
        "raw pixels, error of logarithms: log(0) wherever the ReLU output is 0",
        partial(train, end=nn.ReLU, target="raw", loss=log_error),
        0.3,
        twin="log1p",
        expect="103",
        allow="104 202 401 402 504",
        where=r"log|end",
    ),
    _healthy(
        "log1p",
        "raw pixels, softplus output, error of logarithms of 1 + x",
        partial(train, end=nn.Softplus, target="raw", loss=log1p_error),
        0.3,
    ),
    _healthy(
        "binary",
        "black and white pixels, sigmoid output, binary cross entropy",
        partial(train, end=nn.Sigmoid, scale="unit", binary=True, loss=F.binary_cross_entropy),
        0.3,
    ),
    _sick(
        "half",
        "float16 without a GradScaler, loss weighted by 3e-5",
        partial(train_half, scaler=False),
        0.3,
        twin="half-scaled",
        expect="105",
        allow="101 104 301 401 404",
    ),
    _healthy("half-scaled", "float16 with a GradScaler", partial(train_half, scaler=True), 0.5),
    _sick(
        "half-optimized",
        "the optimizer was given the decoder's parameters alone",
        partial(train, only="decoder", code=3),
        0.3,
        twin="narrow",
        expect="704",
        allow="301 401 404",
        where="encoder",
    ),
    _healthy("narrow", "three numbers of code", partial(train, code=3), 0.3),
    _sick(
        "raw-target",
        "input standardised, target in raw pixels, plain SGD",
        partial(train, target="raw", optimizer="SGD", lr=1e-2),
        0.3,
        twin="sgd",
        expect="504",
        allow="102 302 402 403 404 703 202 206 401",
    ),
    _healthy("sgd", "plain SGD", partial(train, optimizer="SGD", lr=0.3), 0.3),
    _sick(
        "raw-measurements",
        "input standardised, target in its own units (up to 4e3)",
        partial(train_tumours, raw=True),
        0.3,
        twin="tumours",
        expect="504",
        allow="102 302 402 403 404 703 202 206 401 101",
    ),
    _healthy(
        "full-batch",
        "gradient descent on the whole table",
        partial(train_tumours, optimizer="SGD", lr=0.4, size=0),
        0.7,
    ),
    _healthy(
        "tumours-sgd",
        "30 measurements, plain SGD",
        partial(train_tumours, optimizer="SGD", lr=0.3),
        0.5,
    ),
    _healthy("tumours", "30 standardised measurements", partial(train_tumours), 0.5),
    _sick(
        "missing",
        "gaps in the table are NaN",
        partial(train_tumours, missing=True),
        0.0,
        twin="tumours",
        expect="503",
        allow="103 401 402",
        where="input",
    ),
    _sick(
        "outlier",
        "one reading of 1e6 among standardised ones",
        partial(train_tumours, outlier=True, optimizer="SGD", lr=0.3),
        0.4,
        twin="tumours-sgd",
        expect="502",
        allow="501 504 101 102 103 104 202 205 206 301 302 401 402 403 404 703",
        where="input|target",
    ),
    _sick(
        "wrong-optimizer",
        "the encoder's own optimizer was given the decoder's parameters",
        partial(train_apart, wrong=True),
        0.3,
        twin="apart",
        expect="704",
        allow="301 401 404",
        where="encoder",
    ),
    _sick(
        "cut-off",
        "the code is detached before it reaches the decoder",
        partial(train_apart, cut=True),
        0.3,
        twin="apart",
        expect="807",
        allow="104 301 401 404",
        where="encoder",
    ),
    _healthy("apart", "encoder and decoder with an optimizer each", partial(train_apart), 0.3),
    _sick(
        "stalled-output",
        "the output layer's group has a rate of 1e-9",
        partial(train_stalled, lr=1e-9),
        0.4,
        twin="groups",
        expect="301",
        allow="401 404 302",
        where=r"decoder\.2",
    ),
    _healthy("groups", "two parameter groups, one rate", partial(train_stalled, lr=3e-3), 0.5),
    _sick(
        "dead",
        "hidden ReLU biases start at -5",
        partial(train, bias=-5.0),
        0.3,
        twin="relu",
        expect="202",
        allow="104 101 205 301 401 404",
        where="coder",
    ),
    _healthy("relu", "ReLU, Adam", partial(train), 0.5),
    _healthy("gelu", "GELU, AdamW", partial(train, act=nn.GELU, optimizer="AdamW"), 0.5),
    _healthy("tanh", "tanh, RMSprop", partial(train, act=nn.Tanh, optimizer="RMSprop"), 0.4),
    _healthy("long", "trained far past convergence", partial(train, steps=1500), 0.6),
)
