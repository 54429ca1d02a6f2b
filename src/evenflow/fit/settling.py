"""From an estimator's parameters to settled options: checks, and what each `auto` comes to."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import torch

from . import network
from .loop import Plan
from .losses import LOSSES
from .rates import BASE, SCHEDULES
from .scaling import SCALES
from .starting import INITS, Init
from .stepping import OPTIMIZERS, Optimizing, parse_clip

DTYPES = {"float32": torch.float32, "float64": torch.float64}
#: `auto` trains for about so many updates, within these numbers of epochs.
UPDATES, EPOCHS = 3000, (30, 100)
#: AdamW's weight decay: of a table that is noisy or not asked, and of one that said it is not
#: (`asking.py`), which is trained twice as long. Both for activations as steep as the line: decay
#: λ holds weights at about 1/λ, and after a unit of slope 1/4 four times that is needed.
CAUTIOUS, BOLD = 1.0, 0.1
#: Fewer rows than this are too few to spare some for validation.
SPARE = 1000


@dataclass(frozen=True, slots=True)
class Settled:
    """All options of one fit, each with its value."""

    hidden: tuple[int, ...]
    activations: tuple[str, ...]
    init: Init
    norm: str
    residual: str
    dropout: float
    alpha_dropout: bool
    optimizing: Optimizing
    rate: float
    test_rate: bool
    schedule: Any
    warmup: float
    batch: int
    shuffle: bool
    epochs: int
    validation: float
    patience: int | None
    error: float | None
    gradient: float | None
    seconds: float | None
    dtype: torch.dtype
    device: torch.device


def asks(given: dict[str, Any]) -> bool:
    """Is the weight decay to be asked of the table: is it free, and the length of training, too?"""
    free = given["l2"] == "auto" and given["epochs"] == "auto" and given["max_seconds"] is None
    return free and given["optimizer"] in ("auto", "adamw") and not callable(given["loss"])


def settle(given: dict[str, Any], n: int, bold: bool = False) -> Settled:
    """Check the parameters `given` of an estimator and settle them for n rows.

    `bold`: the table said that its weights may grow, where `auto` leaves that open.
    ValueError naming the parameter and what it can be.
    """
    hidden = network.widths(given["hidden"], given["depth"])
    activations = network.activations(given["activation"], len(hidden))
    _one_of(given, "norm", network.NORMS)
    _one_of(given, "residual", ("auto", *network.RESIDUALS))
    _one_of(given, "optimizer", OPTIMIZERS)
    _one_of(given, "scale", SCALES)
    if not callable(given["init"]):
        _one_of(given, "init", INITS)
    if not callable(given["schedule"]):
        _one_of(given, "schedule", SCHEDULES)
    if not callable(given["loss"]):
        _one_of(given, "loss", LOSSES)
    if "target_scale" in given:
        _one_of(given, "target_scale", SCALES)
    if str(given["dtype"]).removeprefix("torch.") not in DTYPES:
        raise ValueError(f"dtype = {given['dtype']!r}: give 'float32' or 'float64'.")
    residual = given["residual"]
    if residual == "auto":
        residual = "rezero" if len(hidden) >= network.DEEP else "none"
    optimizer = "adamw" if given["optimizer"] == "auto" else given["optimizer"]
    l2 = given["l2"]
    if l2 == "auto":
        l2 = (BOLD if bold else CAUTIOUS) * network.steepness(activations)
        l2 = l2 if optimizer == "adamw" else 0.0
    clip = "none" if given["clip"] in ("auto", None) else given["clip"]
    if not isinstance(clip, str):
        raise ValueError(f"clip = {clip!r}: give 'none', 'norm:1.0', 'value:0.5' or 'agc:0.01'.")
    parse_clip(clip)
    if clip == "none" and given["clip"] == "auto" and optimizer not in ("adam", "adamw", "rmsprop"):
        clip = "norm:1"  # adaptive rates bound the update by themselves
    automatic = given["learning_rate"] == "auto"
    validation = given["validation"]
    if validation == "auto":
        validation = 0.1 if n >= SPARE else 0.0
    validation = _number("validation", validation, 0, 1, "a share of the rows, below 1")
    batch = _batch(given["batch_size"], n)
    rows = n - math.ceil(n * validation)
    a_epoch = max(1, math.ceil(rows / batch))
    epochs = given["epochs"]
    if epochs == "auto":
        epochs = min(max(math.ceil(UPDATES / a_epoch), EPOCHS[0]), EPOCHS[1]) * (2 if bold else 1)
    epochs = int(_number("epochs", epochs, 0, math.inf, "a whole number, 0 or more", whole=True))
    patience = given["patience"]
    if patience == "auto":
        patience = max(10, epochs // 4) if validation else None
    if patience is not None:
        patience = int(_number("patience", patience, 1, math.inf, "epochs, 1 or more", whole=True))
    device = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu")
        if given["device"] == "auto"
        else given["device"]
    )
    return Settled(
        hidden=hidden,
        activations=activations,
        init=given["init"],
        norm=given["norm"],
        residual=residual,
        dropout=_number("dropout", given["dropout"], 0, 1, "a share of the units, below 1"),
        alpha_dropout=bool(given["alpha_dropout"]),
        optimizing=Optimizing(
            optimizer,
            momentum=_number("momentum", given["momentum"], 0, 1, "0 or more, below 1"),
            l1=_number("l1", given["l1"], 0, math.inf, "0 or more"),
            l2=_number("l2", l2, 0, math.inf, "0 or more"),
            clip=clip,
        ),
        rate=BASE[optimizer]
        if automatic
        else _number("learning_rate", given["learning_rate"], 0, math.inf, "above 0", open_=True),
        test_rate=automatic,
        schedule=given["schedule"],
        warmup=_number(
            "warmup", 0.05 if given["warmup"] == "auto" else given["warmup"], 0, math.inf,
            "a share below 1, or so many steps",
        ),
        batch=batch,
        shuffle=bool(given["shuffle"]),
        epochs=epochs,
        validation=validation,
        patience=patience,
        error=_rule(given, "error_below"),
        gradient=_rule(given, "gradient_below"),
        seconds=_rule(given, "max_seconds"),
        dtype=DTYPES[str(given["dtype"]).removeprefix("torch.")],
        device=device,
    )  # fmt: skip


def _batch(wanted: object, n: int) -> int:
    """Rows of a batch: online is 1, full is all of them, auto grows with the table."""
    if wanted == "auto":
        return min(256, max(16, 2 ** round(math.log2(max(n, 1) / 32)))) if n > 32 else 16
    if wanted == "online":
        return 1
    if wanted == "full":
        return max(1, n)
    said = "rows of a batch, 'online' (1), 'full' (each epoch is one step) or 'auto'"
    return int(_number("batch_size", wanted, 1, math.inf, said, whole=True))


def _rule(given: dict[str, Any], name: str) -> float | None:
    value = given[name]
    return None if value is None else _number(name, value, 0, math.inf, "0 or more, or None")


def _one_of(given: dict[str, Any], name: str, known: tuple[str, ...]) -> None:
    if given[name] not in known:
        raise ValueError(f"{name} = {given[name]!r}: it can be {', '.join(map(repr, known))}.")


def _number(
    name: str,
    value: object,
    low: float,
    high: float,
    said: str,
    whole: bool = False,
    open_: bool = False,
) -> float:
    kind: Any = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind):
        raise ValueError(f"{name} = {value!r}: give {said}.")
    found = float(value)  # type: ignore[arg-type]
    if not low <= found < high or (open_ and found == low):
        raise ValueError(f"{name} = {value!r}: give {said}.")
    return found


def auto_told(settled: Settled, shape: network.Shape, plan: Plan) -> dict[str, object]:
    """What every `auto` came to, for the report."""
    return {
        "hidden": shape.hidden,
        "activation": shape.activations,
        "norm": shape.norm,
        "residual": shape.residual,
        "optimizer": settled.optimizing.optimizer,
        "learning_rate": plan.rate,
        "l2": settled.optimizing.l2,
        "clip": settled.optimizing.clip,
        "batch_size": settled.batch,
        "epochs": plan.stop.epochs,
        "validation": settled.validation,
        "patience": plan.stop.patience,
    }
