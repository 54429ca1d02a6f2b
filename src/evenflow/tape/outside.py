"""What comes from outside a network: its data, and what its loss is told."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import batches, numbers
from .frames import OpCall
from .given import given, summed, weighed
from .prints import Seen
from .registry import Place
from .sample import Sample
from .scalars import core_keys
from .together import COMMON


class Outside:
    """Reads inputs of root modules, targets, and the two sides of a loss."""

    def __init__(self, recorder: Sample, measure: Callable[[int, Tensor], None]) -> None:
        self.recorder, self._measure = recorder, measure
        self._seen: dict[int, Seen] = {}  # site of an input -> its samples, over all steps

    def weigh(self, call: OpCall, site: int) -> None:
        """A product in a loss, one side of which is no network's: advantages, weights, masks."""
        factors = [t for t in call.tensors if not t.requires_grad and t.is_floating_point()]
        if len(call.tensors) == 2 and len(factors) == 1 and factors[0].numel():
            plain = numbers.plain(factors[0])
            if plain is None:
                return
            few = numbers.sample(plain).float()
            size = few.square().mean().sqrt()
            add = self.recorder.add
            add("site", site, "weight_rms", size)
            add("site", site, "weight_negative", numbers.share(few < 0))
            add("site", site, "weight_even", few.abs().mean() / size.clamp(min=1e-30))

    def loss(self, call: OpCall, site: int, x: Tensor) -> None:
        """What the loss is told: its prediction's sign and row sums, its target's scale."""
        rec = self.recorder
        size = numbers.norm(x)
        rec.scalars.extend(
            core_keys(site), (size / (x.numel() or 1) ** 0.5, numbers.nonfinite(x, size))
        )
        held = given(call.args, call.kwargs)
        if held and held[0].dim() > 0:
            rec.add("site", site, "rows", float(held[0].shape[0]))
        if not rec.full or not held:
            return
        rec.add("site", site, "summed", float(summed(call.args, call.kwargs)))
        rec.add("site", site, "weighed", float(weighed(call.args, call.kwargs)))
        made = held[0].detach()
        if call.inputs and made.is_floating_point() and made.dim() > 0:
            few = numbers.sample(made)
            axis = 1 if few.dim() > 1 else 0
            if few.dim() > 1 and few.shape[1] == made.shape[1]:
                rec.add("site", call.inputs[0], "row_sum", few.sum(axis).float().mean())
            rec.add("site", call.inputs[0], "negative", numbers.share(few < 0))
        if len(held) > 1 and call.op.name != "ctc_loss":
            target = held[1]
            rec.sure("classes", "", self._classes, call, site, made, target)
            there = rec.registry.sites[site]
            place = Place(there.root, there.path)
            data = self.data(place, target, "target", there.index, there.call)
            if data is not None:
                rec.registry.link(site, data)
                rec.sure("labels", "", self._labels, data, numbers.local(target))

    def data(self, place: Place, t: Tensor, op: str, index: int, call: int) -> int | None:
        """Site and readings of data: an input of a root module, or a target."""
        rec = self.recorder
        site = rec.registry.site(
            place, op, "input", index, call,
            shape=numbers.shape(t), dtype=numbers.dtype_name(t.dtype),
        )  # fmt: skip
        rec.bounds.reads += 1
        if site is not None and not rec.replays:
            rec.sure("a line of the script", "", rec.registry.ran, site)
        if site is None or t.layout != torch.strided or t.is_nested or not t.numel():
            return site
        if numbers.mute(numbers.local(t)):
            return site
        x = numbers.plain(t)
        if x is not None:
            self._measure(site, x)
        if rec.full and not t.is_complex():
            held = numbers.local(t) if x is None else x
            rec.sure(f"scale of {op}", "", self._features, site, held)
            if op == "input":
                rec.sure(f"likeness of {op}", "", self._varies, site, held)
                if torch.is_grad_enabled() and not rec.replays:  # not what is only evaluated
                    rec.sure(f"samples of {op} seen again", "", self._again, site, held)
                if x is not None:  # what EF205 holds the layers' against
                    rec.sure(f"spread of {op}", "", self.spread, site, numbers.sample(x))
        return site

    def spread(self, site: int, x: Tensor) -> None:
        """How far apart samples of data, or of an output, lie."""
        apart = numbers.spread(x)
        if apart is not None:
            self.recorder.add("site", site, "spread", apart)

    def _classes(self, call: OpCall, site: int, made: Tensor, target: Tensor) -> None:
        """Which classes a batch's labels name, and which the predictions."""
        if any([type(t) not in COMMON or t.layout != torch.strided for t in (made, target)]):
            return
        left_out = call.kwargs.get("ignore_index", -100)
        told = batches.classes(call.op.name, made, target.detach(), int(left_out))
        for metric, share_K in () if told is None else zip(("labelled", "said"), told, strict=True):
            shares = share_K.tolist() if share_K.is_cpu else share_K.unbind()
            for k, share in enumerate(shares):
                self.recorder.scalars.add(("class", site, metric, k), share)

    def _labels(self, site: int, t: Tensor) -> None:
        """Mean and size of what a batch is to answer, by which batches can be told apart."""
        if t.dim() == 0 or not t.numel() or t.requires_grad or t.is_complex() or numbers.mute(t):
            return
        if t.layout != torch.strided or t.is_nested:
            return
        label_B = batches.labels(t)
        self.recorder.add("site", site, "label_mean", label_B.mean())
        self.recorder.add("site", site, "label_rms", label_B.square().mean().sqrt())

    def _varies(self, site: int, t: Tensor) -> None:
        most = batches.varies(t)
        if most is not None:
            self.recorder.add("site", site, "varies", most)

    def _again(self, site: int, t: Tensor) -> None:
        share = self._seen.setdefault(site, Seen()).again(t)
        if share is not None:
            self.recorder.add("site", site, "again", share)

    def _features(self, site: int, t: Tensor) -> None:
        for metric, value in numbers.features(t).items():
            self.recorder.add("site", site, metric, value)
