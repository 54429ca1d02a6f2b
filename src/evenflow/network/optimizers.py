"""What is known of an optimizer by the name of its class."""

from __future__ import annotations

#: They divide by the gradient's size or keep its sign or directions alone: small gradients do not
#: mean small steps. Parts of names, lower case: "adam" is in AdamW, NAdam, SparseAdam, Adam8bit.
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "adafactor", "rprop", "lion", "muon")
#: Those of torch.optim that have neither `momentum` nor `betas`.
_NO_MOMENTUM = ("adadelta", "adafactor", "adagrad", "asgd", "lbfgs", "rprop")


def is_adaptive(name: str) -> bool:
    """Whether its steps are of one size however small the gradient is (Adam and its kin)."""
    return any(part in name.lower() for part in _ADAPTIVE)


def has_momentum(name: str) -> bool:
    """Whether it has a momentum to set, as far as its name tells."""
    return name.lower() not in _NO_MOMENTUM
