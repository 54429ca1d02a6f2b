"""From an estimator's parameters to settled options: checks, and what each `auto` comes to."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..network import is_adaptive
from . import network
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
class StoppingRules:
    """When to stop: at the first rule that holds; None is off.

    Attributes:
        epochs: so many have passed.
        error: the judged error is at or below this. Judged is the validation error where there
            are validation rows, else the error over all training data.
        patience: so many epochs in a row without a new least judged error.
        gradient: |∂E/∂w| over all training data is at or below this.
        seconds: so much wall time has passed; looked at after each epoch.
    """

    epochs: int
    error: float | None = None
    patience: int | None = None
    gradient: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """All options of one fit, each with its value."""

    hidden: tuple[int, ...]
    shape: Callable[[int, int], network.NetworkShape]  # between so many inputs and outputs
    init: Init
    optimizing: Optimizing
    rate: float
    test_rate: bool
    schedule: Any
    warmup: float
    batch: int
    shuffle: bool
    validation: float
    stop: StoppingRules
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
    _check_words(given)
    residual = given["residual"]
    if residual == "auto":
        residual = "rezero" if len(hidden) >= network.DEEP else "none"
    optimizing = _optimizing(given, activations, bold)
    spared = 0.1 if n >= SPARE else 0.0
    validation = _number(given, "validation", 0, 1, "a share of the rows, below 1", auto=spared)
    dropout = _number(given, "dropout", 0, 1, "a share of the units, below 1")
    usual, least = BASE[optimizing.optimizer], math.ulp(0.0)
    batch = _batch(given, n)
    device = given["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Settled(
        hidden=hidden,
        shape=partial(
            network.NetworkShape, hidden=hidden, activations=activations, norm=given["norm"],
            residual=residual, dropout=dropout, alpha_dropout=bool(given["alpha_dropout"]),
        ),
        init=given["init"],
        optimizing=optimizing,
        rate=_number(given, "learning_rate", least, math.inf, "above 0", auto=usual),
        test_rate=given["learning_rate"] == "auto",
        schedule=given["schedule"],
        warmup=_number(given, "warmup", 0, math.inf, "a share below 1, or so many steps",
                       auto=0.05),
        batch=batch,
        shuffle=bool(given["shuffle"]),
        validation=validation,
        stop=_stopping(given, n, validation, batch, bold),
        dtype=DTYPES[str(given["dtype"]).removeprefix("torch.")],
        device=torch.device(device),
    )  # fmt: skip


def _check_words(given: dict[str, Any]) -> None:
    """ValueError for a word that an option does not know."""
    known = {"norm": network.NORMS, "residual": ("auto", *network.RESIDUALS),
             "optimizer": OPTIMIZERS, "scale": SCALES, "target_scale": SCALES, "init": INITS,
             "schedule": SCHEDULES, "loss": LOSSES}  # fmt: skip
    own = ("init", "schedule", "loss")  # these may be the user's
    for name, words in known.items():
        if name not in given or (name in own and callable(given[name])):
            continue
        if given[name] not in words:
            raise ValueError(f"{name} = {given[name]!r}: it can be {', '.join(map(repr, words))}.")
    if str(given["dtype"]).removeprefix("torch.") not in DTYPES:
        raise ValueError(f"dtype = {given['dtype']!r}: give 'float32' or 'float64'.")


def _optimizing(given: dict[str, Any], activations: tuple[str, ...], bold: bool) -> Optimizing:
    optimizer = "adamw" if given["optimizer"] == "auto" else given["optimizer"]
    decay = (BOLD if bold else CAUTIOUS) if optimizer == "adamw" else 0.0
    clip = "none" if given["clip"] in ("auto", None) else given["clip"]
    if not isinstance(clip, str):
        raise ValueError(f"clip = {clip!r}: give 'none', 'norm:1.0', 'value:0.5' or 'agc:0.01'.")
    parse_clip(clip)
    if clip == "none" and given["clip"] == "auto" and not is_adaptive(optimizer):
        clip = "norm:1"  # adaptive rates bound the update by themselves
    return Optimizing(
        optimizer,
        momentum=_number(given, "momentum", 0, 1, "0 or more, below 1"),
        l1=_number(given, "l1", 0, math.inf, "0 or more"),
        l2=_number(
            given, "l2", 0, math.inf, "0 or more", auto=decay * network.steepness(activations)
        ),
        clip=clip,
    )


def _stopping(
    given: dict[str, Any], n: int, validation: float, batch: int, bold: bool
) -> StoppingRules:
    a_epoch = max(1, math.ceil((n - math.ceil(n * validation)) / batch))
    usual = min(max(math.ceil(UPDATES / a_epoch), EPOCHS[0]), EPOCHS[1]) * (2 if bold else 1)
    text = "a whole number, 0 or more"
    epochs = int(_number(given, "epochs", 0, math.inf, text, auto=usual, whole=True))
    patience, text = None, "epochs, 1 or more"
    if given["patience"] is not None and (validation or given["patience"] != "auto"):
        usual = max(10, epochs // 4)
        patience = int(_number(given, "patience", 1, math.inf, text, auto=usual, whole=True))
    return StoppingRules(
        epochs,
        _rule(given, "error_below"),
        patience,
        _rule(given, "gradient_below"),
        _rule(given, "max_seconds"),
    )


def _batch(given: dict[str, Any], n: int) -> int:
    """Rows of a batch: online is 1, full is all of them, auto grows with the table."""
    if given["batch_size"] in ("online", "full"):
        return 1 if given["batch_size"] == "online" else max(1, n)
    usual = min(256, max(16, 2 ** round(math.log2(n / 32)))) if n > 32 else 16
    text = "rows of a batch, 'online' (1), 'full' (each epoch is one step) or 'auto'"
    return int(_number(given, "batch_size", 1, math.inf, text, auto=usual, whole=True))


def _rule(given: dict[str, Any], name: str) -> float | None:
    return None if given[name] is None else _number(given, name, 0, math.inf, "0 or more, or None")


def _number(
    given: dict[str, Any],
    name: str,
    low: float,
    high: float,
    text: str,
    auto: float | None = None,
    whole: bool = False,
) -> float:
    """The number given, or what `auto` comes to. ValueError saying `text` for what is none, or
    not in [low, high)."""
    value = auto if auto is not None and given[name] == "auto" else given[name]
    kind: Any = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= float(value) < high:
        raise ValueError(f"{name} = {value!r}: give {text}.")
    return float(value)
