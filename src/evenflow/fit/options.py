"""The options of both estimators in words: one text, shown in the help of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=type)

OPTIONS = '''
    Args:
        hidden: units of the hidden layers: one width, or a width a layer such as (64, 32). "auto"
            is 128.
        depth: how many hidden layers, where `hidden` is one width; None is two.
        activation: a name of `evenflow.activations.names()`, or one a hidden layer. "auto" is
            SiLU (Elfwing et al. 2017, arXiv:1702.03118).
        init: "he", "xavier", "lecun", "orthogonal", "critical", "lsuv", "lsuv-centred", "small"
            (N(0, 0.01²)), "default" (torch's), or a callable that is given the network. "auto" is
            torch's below 5 hidden layers (its small weights generalise better there); from 5 on
            orthogonal at the activation's critical point (χ1 = 1; Schoenholz et al. 2017,
            arXiv:1611.01232). For the sigmoid it is centred LSUV.
        norm: "none", "batch" (Ioffe & Szegedy 2015, arXiv:1502.03167), "layer" (Ba et al. 2016,
            arXiv:1607.06450); between linear layer and activation.
        residual: "none", "plain" x + F(x) (He et al. 2016, arXiv:1512.03385), "rezero"
            x + αF(x)/L² with α = 0 at first (Bachlechner et al. 2020, arXiv:2003.04887, without L,
            the number of hidden layers). "auto" is ReZero from 8 hidden layers on.
        dropout: share of units dropped after each activation (Srivastava et al. 2014).
        alpha_dropout: the dropout that keeps mean and variance (Klambauer et al. 2017).
        loss: "squared", "cross_entropy", or a callable (scores [B, O], targets) -> one number a
            sample [B], or one for the batch. "auto" is cross-entropy for classes, else squared.
            Classes are judged by the squared error of their probabilities (Brier).
        optimizer: "gd", "momentum", "nesterov", "adam", "adamw" ("auto"), "rmsprop".
        learning_rate: a number, or "auto": as high as a range test finds safe (Smith 2017,
            arXiv:1506.01186), up to 3e-3 with AdamW. With `heal` a number of three times the usual
            or more gives way to the usual where that predicts clearly better on rows held out.
        schedule: "constant", "cosine" ("auto"), "linear", "exponential", "step", or a callable
            (step from 0) -> factor of the rate.
        warmup: over which share of the training (below 1), or how many steps, the rate rises.
            "auto" is 0.05.
        momentum: α of "momentum" and "nesterov": Δw = -η g + α Δw_last.
        l1, l2: penalties λ Σ|w| and ½ λ Σ w² on weights, not biases. AdamW decays weights by
            η λ w instead. "auto" for l2 is 0 without AdamW; with it, where `epochs` is "auto", too,
            the table is asked: default networks train with λ = 1 and λ = 0.1 on four fifths of at
            most 3000 of its rows, up to three times on other fifths, and where the second is
            clearly better on the rows left out, l2 is 0.1; else, and below 200 rows, 1. Of an
            activation whose |f'| stays below 1 it is that share of this (the sigmoid: a quarter).
        clip: "none", "norm:1.0" (Pascanu et al. 2013), "value:0.5", "agc:0.01" (Brock et al. 2021,
            arXiv:2102.06171). "auto" is none where the optimizer bounds its updates, else norm:1.
        scale: of inputs: "standard", "minmax", "robust" (median and quartiles, bent at ±4),
            "none"; "auto" is near "standard" on tame columns, near "robust" on wild ones. Both
            "auto" and "robust" read a number over 1000 deviations off as the column's middle.
        batch_size: rows, "online" (one), "full" (all: an epoch is one step), or "auto" (16 to 256,
            about a thirty-second of the table).
        shuffle: a new order of the rows each epoch.
        epochs: at most so many. "auto" makes about 3000 updates, in 30 to 100 epochs; twice as many
            where the table said that l2 may be 0.1.
        validation: share of the rows held out to judge epochs by; the best epoch's weights are
            kept. "auto" is 0.1 from 1000 rows on, else 0.
        patience: stop after so many epochs without a new least error, None never. "auto" is a
            quarter of the epochs where rows are held out, else None.
        error_below, gradient_below: stop once the error (on validation rows, if there are any),
            or the norm of the gradient over all training data, is at or below this.
        max_seconds: stop after the epoch in which this time has passed.
        dtype: "float32" or "float64".
        device: "cpu", "cuda", ..., or "auto".
        random_state: a seed; the same seed gives the same network on the same machine.
        heal: look at the network before it trains (`evenflow.preflight`) and give it another
            start where it would not learn; lower a rate that a range test or the loss itself
            shows to be too high, from the last good weights on; draw rectifier units anew that no
            training row switches on; train once more where nothing was learned. What was done is
            in `fit_report_`.
        warm_start: let `fit` go on from the weights of the last one.
        verbose: print each epoch's loss, or a callable (epoch, epochs).
'''  # fmt: skip


def documented(more: str = "") -> Callable[[T], T]:
    """Put the options, and `more` of them, behind a class's docstring."""

    def with_options(cls: T) -> T:
        cls.__doc__ = f"{(cls.__doc__ or '').rstrip()}\n{OPTIONS}{more}"
        return cls

    return with_options
