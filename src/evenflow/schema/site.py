"""A site: one place in the network that the tape can measure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .where import Where

#: What a site does, in the words rules use. A site's kind decides which readings it has.
KINDS = (
    "input",  # a tensor that entered a root module (data, not a computation)
    "affine",  # linear, conv, bilinear: has weights, mixes units
    "recurrent",  # fused RNN, LSTM, GRU: opaque inside
    "activation",  # elementwise non-linearity
    "norm",  # batch, layer, group, instance, RMS normalisation
    "attention",  # scaled_dot_product_attention, multi-head attention
    "softmax",  # softmax and log_softmax (sigmoid before a BCE is an activation)
    "join",  # add, cat, stack, mul of two computed tensors: branches meet
    "embedding",
    "pool",
    "dropout",
    "matmul",  # product of two computed tensors
    "loss",  # a loss function; its shape is () unless reduction="none"
    "custom",  # custom autograd.Function, checkpointed region: opaque
    "other",
)


@dataclass(frozen=True, slots=True, order=True)
class SiteKey:
    """What tells a site from all others, in every run and rank of one training: see `Site`."""

    root: str
    path: str
    op: str
    index: int
    call: int


@dataclass(frozen=True, slots=True)
class Site:
    """One node or module call the tape can measure.

    A site is told apart from others by its `key`: the same line of code in the same module call
    has the same key at every step, in every run of the script and in every rank. An `id` is a
    position in one run only, so runs and ranks are joined by keys (`Run.by_key`).

    >>> from evenflow import Site
    >>> Site(7, "Net", "layers.3", "linear", "affine").key
    SiteKey(root='Net', path='layers.3', op='linear', index=0, call=0)

    Attributes:
        id: position in `Run.sites`; sites are in forward order of first sight.
        root: name of the root module that was called ("MLP", "MLP#2"), "" outside of any.
        path: module path inside the root ("layers.3"), "" for the root's own forward.
        op: what was computed, lower case ("linear", "sigmoid", "add", "cross_entropy", "input").
        kind: one of `KINDS`.
        index: how many sites with the same op came before it in the same module call.
        call: how many times the module had been called before in this step (unrolled RNN, GAN).
        shape: shape of the output, batch first as a rule.
        dtype: of the output, torch's name without "torch." ("float32").
        inputs: ids of the sites whose outputs it reads (views are looked through).
        params: names of the parameters it reads, as in `Parameter.name`.
        takes: shapes of the prediction and the target a loss was given, views and all (`shape` of
            an input site knows no views); of a difference, where both sides were broadcast.
        made: the line that built the module it is in, where that is of a library's class; then the
            library's own line, if one stands between. () where it is not known.
        called: the line that ran it, likewise.
    """

    id: int
    root: str
    path: str
    op: str
    kind: str
    index: int = 0
    call: int = 0
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    inputs: tuple[int, ...] = ()
    params: tuple[str, ...] = ()
    takes: tuple[tuple[int, ...], ...] = ()
    made: tuple[Where, ...] = ()
    called: tuple[Where, ...] = ()

    @property
    def key(self) -> SiteKey:
        """What joins runs and ranks."""
        return SiteKey(self.root, self.path, self.op, self.index, self.call)

    @property
    def name(self) -> str:
        """What a person reads: "layers.3 sigmoid", with "#2" (index) and "@5" (call) if needed."""
        place = ".".join(p for p in (self.root, self.path) if p)
        index = f"#{self.index}" if self.index else ""
        call = f" @{self.call}" if self.call else ""
        return f"{place} {self.op}{index}{call}".strip()

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What all calls of one line in one module have in common."""
        return self.root, self.path, self.op, self.index

    @property
    def size(self) -> int:
        """Number of elements of the output."""
        return math.prod(self.shape)


def bare_name(site: Site) -> str:
    """A site's name without its root."""
    return site.name[len(site.root) :].lstrip(". ")
