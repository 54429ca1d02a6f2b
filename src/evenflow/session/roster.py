"""The roster of a session: its optimizers, in the order in which they were met."""

from __future__ import annotations

import weakref

import torch

from ..store import Writer
from ..tape import Catalogue, of_optimizer, settings


class Roster:
    """Numbers optimizers; met first, an optimizer's parameters and class are written down."""

    def __init__(self, writer: Writer, catalogue: Catalogue) -> None:
        self.refs: list[weakref.ref[torch.optim.Optimizer]] = []
        self._writer, self._catalogue = writer, catalogue

    def index(self, optimizer: torch.optim.Optimizer) -> int:
        """Its number, from 0."""
        for i, ref in enumerate(self.refs):
            if ref() is optimizer:
                return i
        index = len(self.refs)
        self.refs.append(weakref.ref(optimizer))
        for g in optimizer.param_groups:
            for p in g["params"]:
                self._catalogue.add_param(p, optimizer=index)
        described = [
            {"class": type(o).__name__, "params": len(of_optimizer(o)), **settings(o)}
            for ref in self.refs
            if (o := ref()) is not None
        ]
        self._writer.meta(optimizers=described)
        return index
