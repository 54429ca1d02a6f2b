"""Variational autoencoders and adversarial pairs on digits (report half)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import digits
from .loop import batches, seed_all


class VAE(nn.Module):
    """Digits to 4 Gaussian numbers and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(64, 48)
        self.mean = nn.Linear(48, 4)
        self.log_var = nn.Linear(48, 4)
        self.decode = nn.Linear(4, 48)
        self.pixels = nn.Linear(48, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = torch.relu(self.encode(x))
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.pixels(torch.relu(self.decode(z))), mean, log_var


class Generator(nn.Module):
    """16 random numbers to a digit."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(16, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)
        )
        self.out = nn.Linear(64, 64)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.out(self.net(z)))


class Discriminator(nn.Module):
    """A digit to one logit: real or made up."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Dropout(0.3))
        self.out = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.net(x))
        return out


def train_vae(
    seed: int,
    *,
    beta: float = 0.2,
    optimizer: str = "Adam",
    lr: float = 3e-3,
    steps: int = 250,
    forgotten: str = "",
    raw: bool = False,
    mean_pixel: bool = False,
) -> float:
    """A variational autoencoder; share of the held-out variance rebuilt from the means.

    `raw` feeds 16-bit pixels to the encoder, whose log-variance then overflows; `mean_pixel`
    takes the mean over pixels where the divergence is a sum over latents.
    """
    seed_all(seed)
    unit = digits("unit")
    data = digits("raw") if raw else digits()
    gain = 65535.0 / 16 if raw else 1.0
    model = VAE()
    params = [p for n, p in model.named_parameters() if not (forgotten and n.startswith(forgotten))]
    opt = getattr(torch.optim, optimizer)(params, lr)
    for b in batches(len(data.x), 64, steps):
        opt.zero_grad()
        out, mean, log_var = model(data.x[b] * gain)
        rebuilt = F.binary_cross_entropy_with_logits(out, unit.x[b], reduction="none").sum(1)
        rebuilt = rebuilt / 64 if mean_pixel else rebuilt
        divergence = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1)
        (rebuilt + beta * divergence).mean().backward()
        opt.step()
    with torch.no_grad():
        h = torch.relu(model.encode(data.x_test * gain))
        out = torch.sigmoid(model.pixels(torch.relu(model.decode(model.mean(h)))))
        error = ((out - unit.x_test) ** 2).mean() / unit.x_test.var(0).mean()
    return max(-1.0, 1 - float(error)) if bool(error.isfinite()) else -1.0


def train_gan(
    seed: int, *, wrong_optimizer: bool = False, detached: bool = False, steps: int = 250
) -> float:
    """An adversarial pair; minus the distance of the mean made-up digit from the real one.

    `wrong_optimizer` gives the generator's optimizer the discriminator's parameters, `detached`
    cuts the generator's loss off from the generator.
    """
    seed_all(seed)
    real = digits("unit").x * 2 - 1
    g, d = Generator(), Discriminator()
    opt_g = torch.optim.Adam((d if wrong_optimizer else g).parameters(), 1e-3, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(d.parameters(), 1e-3, betas=(0.5, 0.999))
    ones, zeros = torch.full((64, 1), 0.9), torch.zeros(64, 1)
    for b in batches(len(real), 64, steps):
        fake = g(torch.randn(64, 16))
        opt_d.zero_grad()
        loss_d = F.binary_cross_entropy_with_logits(d(real[b]), ones)
        loss_d = loss_d + F.binary_cross_entropy_with_logits(d(fake.detach()), zeros)
        loss_d.backward()  # type: ignore[no-untyped-call]
        opt_d.step()
        opt_g.zero_grad()
        seen = fake.detach() if detached else fake
        F.binary_cross_entropy_with_logits(d(seen), torch.ones(64, 1)).backward()  # type: ignore[no-untyped-call]
        opt_g.step()
    with torch.no_grad():
        made = g(torch.randn(500, 16))
    return -float((made.mean(0) - real.mean(0)).norm())


_sick, _healthy = partial(sick, "generative"), partial(healthy, "generative")

CASES: tuple[Case, ...] = (
    _sick(
        "overflow",
        "pixels 0..65535 into a VAE: exp(log-variance) overflows",
        partial(train_vae, raw=True, lr=3e-3),
        0.0,
        twin="vae",
        expect="103",
        allow="501 102 402 703 302 206 202 401 205",
        where=r"exp|log_var",
    ),
    _healthy("vae", "variational autoencoder, Adam", partial(train_vae), 0.3),
    _sick(
        "mean-over-pixels",
        "the reconstruction is a mean over pixels, the divergence a sum over latents",
        partial(train_vae, beta=1.0, mean_pixel=True),
        0.1,
        twin="vae",
        expect="207",
        allow="101 104 205 301 401 404",
        where="add",
    ),
    _sick(
        "late-layer",
        "the output layer was put in after the optimizer had been made",
        partial(train_vae, forgotten="pixels"),
        0.2,
        twin="vae",
        expect="704",
        allow="301 401 404",
        where="pixels",
    ),
    _sick(
        "wrong-optimizer",
        "the generator's optimizer was given the discriminator's parameters",
        partial(train_gan, wrong_optimizer=True),
        -4.2,
        twin="gan",
        expect="704",
        allow="104 301 401 404 402",
        where="Generator",
    ),
    _healthy("gan", "adversarial pair, label smoothing, dropout", partial(train_gan), -4.2),
    _sick(
        "cut-off",
        "the generator's loss is computed on a detached image",
        partial(train_gan, detached=True),
        -4.2,
        twin="gan",
        expect="807",
        allow="104 301 401 404 402",
        where="Generator",
    ),
    _healthy("vae-adamw", "AdamW, a weaker prior", partial(train_vae, beta=0.05), 0.3),
    _healthy("gan-long", "adversarial pair, 400 rounds", partial(train_gan, steps=400), -4.2),
)
