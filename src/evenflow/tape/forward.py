"""Reading the forward: each op as it happens, its output and who made its inputs."""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..network import CLOSED, SATURATED, Op
from . import numbers
from .attention import Attention
from .chosen import CHOOSES, chosen, spread
from .frames import Frame, OpCall
from .given import along, given, input_of, pooled, takes, tensors_in
from .isolation import traced, unheard
from .labels import Label, label, node_of, read
from .latent import DRAWING, Latents
from .lost import made_nonfinite
from .outside import Outside
from .sample import Sample
from .scalars import ScalarBuffer, core_keys
from .together import Flat, nonfinite_in

#: Activations whose result autograd keeps for the backward, so that nobody may overwrite it.
_KEPT = frozenset({"relu", "sigmoid", "tanh"})
_LIGHT = frozenset({"other", "dropout", "loss"})
#: Whose zeros are counted.
_COUNTED = frozenset({"activation", "pool", "embedding"})
_SPREAD = frozenset({"affine", "activation", "norm", "join", "attention", "recurrent", "embedding"})
_CONVS = ("conv", "max_pool", "avg_pool", "adaptive", "batch_norm", "group_norm", "instance_norm")


class ForwardReader:
    """Turns ops into sites and readings. One per recorder, used from any thread."""

    def __init__(self, recorder: Sample) -> None:
        self.recorder = recorder
        self._axis: dict[int, int] = {}  # site -> axis of its units
        # Tensors without a node: data, and what runs without gradients inside a training forward.
        self.inputs: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._late: list[tuple[int, str, Tensor, int]] = []  # see `late`
        self.lost = False  # has `_lost` made a site in this step?
        self.latents = Latents(recorder, self.producer)
        self.outside = Outside(recorder, self.measure)
        self._once: set[int] = set()  # sites that were read in this step

    def reset(self) -> None:
        self.inputs.clear()
        self.latents.reset()
        self._late.clear()
        self.lost = False
        self._once.clear()

    def axis(self, site: int) -> int:
        """The axis along which a site's units lie."""
        return self._axis.get(site, -1)

    def before(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpCall | None:
        """Note the inputs. None when the op is not to be recorded."""
        rec = self.recorder
        thread = rec.thread
        frame = thread.stack[-1] if thread.stack else thread.outside
        if frame.ignored or rec.bounds.full or traced():
            return None
        known = None
        if not (rec.full or rec.replays or self.lost):
            n = frame.counts.get(op.name, 0)
            known = rec.registry.known(frame.place, op.name, n, frame.call)
        seq = torch._C._autograd._get_sequence_nr()
        call = OpCall(op, args, kwargs, seq, known, frame, thread)
        if known is None and not self._look(call, frame):
            return None
        if op.kind == "attention" and rec.full and not rec.recomputing:
            call.inner = Attention()
        return call

    def _look(self, call: OpCall, frame: Frame) -> bool:
        """What goes into the call: parameters, and sites. False if it is not to be recorded."""
        rec = self.recorder
        call.tensors = tensors_in((*call.args, *call.kwargs.values()))
        if call.op.name == "add" and not any([t.is_floating_point() for t in call.tensors]):
            return False  # a counter: every batch norm has one
        for t in call.tensors:
            p = rec.registry.read(t, frame.module, frame.place)
            if p is not None:
                call.params.append(p)
                continue
            found = self.producer(t)
            if found is not None and found not in call.inputs:
                call.inputs.append(found)
        return True

    def producer(self, t: Tensor) -> int | None:
        """The site that made a tensor in this step, if one is known."""
        node = node_of(t)
        if node is not None:
            known = read(node, self.recorder.oldest)
            return None if known is None else known.site
        entry = self.inputs.get(id(t))
        return entry[1] if entry is not None and entry[0]() is t else None

    def after(self, call: OpCall, out: Any) -> None:
        """Make the site, label its node, take its readings."""
        rec = self.recorder
        if call.known is not None and type(out) is Tensor and self._met(call, call.known, out):
            return
        if rec.full and call.op.name in CHOOSES:
            rec.sure(f"choices of {call.op.name}", "", self._chosen, call, out)
        outs = [t for t in tensors_in((out,)) if t.is_floating_point()]
        if not outs:
            return
        made = [(t, node) for t in outs if (node := node_of(t)) is not None]
        if call.known is not None and not made:  # it had a gradient when it was met
            self._look(call, call.frame)
        apart = not made and (torch.is_grad_enabled() or not self.recorder.thread.stack)
        if (apart or (not made and call.op.kind in _LIGHT)) and self._lost(call, outs):
            return
        if apart:
            if call.inputs and call.op.kind != "loss":
                for t in outs:  # what is done to data before the first layer is still data
                    self.note_data(t, call.inputs[0])
            return
        if not made and call.op.kind in _LIGHT:
            return
        if made and torch._C._autograd._get_sequence_nr() == call.seq:
            return  # no node was made: dropout of nothing, `.to()` what it is: x itself came back
        if call.op.kind == "view":
            if outs[0].dtype == torch.float16 and self._lost(call, outs):
                return
            if not made and call.inputs:
                self.note_data(outs[0], call.inputs[0])
            for _, node in made:
                if call.inputs:
                    self.name(node, call, call.inputs[0], primary=False)
                elif call.params:
                    label(node, Label(rec.generation, rec.thread.key, None, False))
            return
        first = made[0][0] if made else outs[0]
        site = self._site(call, first)
        if site is None:
            return
        for i, (_, node) in enumerate(made):
            self.name(node, call, site, primary=i == 0)
        if not made:
            self.note_data(first, site)
        elif rec.full and call.op.name in DRAWING and not rec.recomputing:
            rec.sure(f"latents of {call.op.name}", "", self.latents.see, call, site, first)
        x = numbers.plain(first) if self._new(site) else None
        if x is not None:
            self._read(call, site, x)

    def _lost(self, call: OpCall, outs: list[Tensor]) -> bool:
        """Has an op that is no site as a rule made NaN or Inf of finite numbers?"""
        found = made_nonfinite(self.recorder, call, outs)
        if found is None:
            return False
        self.lost = True
        t, site = found
        node = node_of(t)
        if node is not None:
            self.name(node, call, site, primary=True)
        self.inputs[id(t)] = (weakref.ref(t), site)
        return True

    def _met(self, call: OpCall, site: int, out: Tensor) -> bool:
        """`after` where nothing is new: one output of a known site, made with a gradient."""
        node, seq = node_of(out), torch._C._autograd._get_sequence_nr()
        if node is None or seq == call.seq:
            return False
        call.frame.index(call.op.name)
        self._ran(site)
        self.name(node, call, site, True, seq)
        x = numbers.plain(out) if self._new(site) else None
        if x is not None:
            self._read(call, site, x, kept=call.op.name in _KEPT)
        return True

    def _new(self, site: int) -> bool:
        """Is a site's output to be read? Once more in a recomputation only where the first forward
        was not looked at: that of a reentrant checkpoint has no gradients."""
        if self.recorder.recomputing and site in self._once:
            return False
        self._once.add(site)
        return True

    def note_data(self, t: Tensor, site: int) -> None:
        """Note which site a tensor without a node comes from; the first that is told counts."""
        entry = self.inputs.get(id(t))
        if entry is None or entry[0]() is not t:  # an id is used again once its tensor is gone
            self.inputs[id(t)] = (weakref.ref(t), site)

    def name(self, node: Any, call: OpCall, site: int, primary: bool, end: int = -1) -> None:
        made = Label(self.recorder.generation, call.key, site, primary)
        label(node, made)
        root = self.recorder.thread.root
        if root is not None:
            root.note(made)
        if primary:
            # A composite function makes several nodes; the inner ones belong to it too.
            for seq in range(call.seq, end if end >= 0 else torch._C._autograd._get_sequence_nr()):
                call.sealed[seq] = site

    def _site(self, call: OpCall, out: Tensor) -> int | None:
        rec, frame = self.recorder, call.frame
        op, kind = call.op
        index = frame.index(op)
        if call.known is not None:
            return call.known
        known = rec.registry.known(frame.place, op, index, frame.call)
        if known is not None:
            for i in call.inputs:
                rec.registry.link(known, i)
            self._ran(known)
            return known
        if kind == "join" and len(call.inputs) < 2:
            kind = "other"
        if kind == "matmul" and any([t.is_leaf and t.requires_grad for t in call.tensors]):
            kind = "affine"
        site = rec.registry.site(
            frame.place, op, kind, index, frame.call,
            shape=numbers.shape(out), dtype=numbers.dtype_name(out.dtype),
            inputs=tuple(call.inputs),
            params=tuple(rec.registry.params[p].name for p in call.params),
            takes=takes(call.op.name, kind, given(call.args, call.kwargs), call.tensors, out),
        )  # fmt: skip
        if site is None:
            return None
        self._ran(site)
        if op.startswith(_CONVS) and out.dim() > 2:
            self._axis[site] = 1
        elif kind in ("activation", "dropout", "other", "join") and call.inputs:
            self._axis[site] = self.axis(call.inputs[0])
        else:
            self._axis[site] = 1 if out.dim() > 3 and kind == "input" else -1
        return site

    def _ran(self, site: int) -> None:
        """Which line of the user's runs it: not our own line, where we play a forward again."""
        if not self.recorder.replays:
            self.recorder.sure("a line of the script", "", self.recorder.registry.ran, site)

    # -- readings -----------------------------------------------------------------------------
    def _read(self, call: OpCall, site: int, x: Tensor, kept: bool = False) -> None:
        """Readings of a site's output; what `kept` ones can wait with, waits (see `late`)."""
        rec = self.recorder
        rec.count()
        kind = rec.registry.sites[site].kind
        if kind == "loss":
            self.outside.loss(call, site, x)
            return
        op = call.op.name
        if not rec.full and rec.scalars.hold(x, self._small, site, op, kind):
            return
        self.measure(site, x, rec.full and kind not in _LIGHT)
        if op == "multi_head_attention_forward" and x.dim() == 3:
            x = x.transpose(0, 1)  # the function works time first; samples are to lie on axis 0
        few = numbers.sample(x) if rec.full else x
        if kept and not rec.full:
            self._late.append((site, op, few, x._version))
        else:
            rec.sure(f"counting of {op}", "", self._count, site, op, kind, few)
        if not rec.full:
            return
        if op == "mul" and not call.frame.place.path:  # a loss is worked out outside of layers
            self.outside.weigh(call, site)
        if op == "add" or kind == "affine":
            rec.add("site", site, "typical", numbers.typical(x))
        if kind == "norm":
            rec.sure(f"counting of {op}", "", self._pooled, call, site)
        if kind == "softmax" or op == "normalize":
            rec.sure(f"axis of {op}", "", self._along, call, site)
        if kind in _SPREAD or kind == "pool":
            rec.sure(f"spread of {op}", "", self.outside.spread, site, few)
        if kind == "softmax" and op != "log_softmax" and x.dim() > 1:
            rec.sure(f"entropy of {op}", "", self._entropy, site, numbers.some_queries(x))
            rec.sure(f"scores of {op}", "", self._scores, call, site)
        if call.inner is not None:
            rec.sure(f"attention of {op}", "", self._attention, call, call.inner, site)

    def _small(
        self, scalars: ScalarBuffer, x: Flat, size: float, site: int, op: str, kind: str
    ) -> None:
        """The core readings of a small output."""
        n = len(x)
        scalars.extend(core_keys(site), (size / math.sqrt(n), nonfinite_in(x, size)))
        if kind in _COUNTED:
            scalars.add(("site", site, "zeros", -1), 1 - np.count_nonzero(x) / n)
        bounds = SATURATED.get(op)
        if bounds is not None:
            low, high = bounds
            past = (x <= low) | (x >= high) if op in CLOSED else (x < low) | (x > high)
            scalars.add(("site", site, "saturated", -1), np.count_nonzero(past) / n)

    def _pooled(self, call: OpCall, site: int) -> None:
        n = pooled(call.op.name, call.args, call.kwargs)
        if n is not None:
            self.recorder.add("site", site, "pooled", float(n))

    def _along(self, call: OpCall, site: int) -> None:
        found = along(call.op.name, call.args, call.kwargs)
        if found is not None:
            self.recorder.add("site", site, "axis", float(found[0]))
            self.recorder.add("site", site, "along", float(found[1]))

    def _attention(self, call: OpCall, inner: Attention, site: int) -> None:
        inner.see(call.args, call.kwargs, call.op.name)
        for metric, value in inner.readings():
            self.recorder.add("site", site, metric, value)

    def late(self) -> None:
        """Take the readings that could wait until the forward is over.

        They are of tensors that autograd keeps. Between the model's own operations each would find
        the processor's caches full of other things, and takes four times as long (45 us to 12).
        """
        if not self._late:
            return
        rec = self.recorder
        late, self._late = self._late, []
        with unheard():
            for site, op, x, version in late:
                if x._version == version:  # autograd forbids anything else, unless it was hooked
                    rec.sure(f"counting of {op}", "", self._count, site, op, "activation", x)

    def _count(self, site: int, op: str, kind: str, x: Tensor) -> None:
        """Shares of zeros and of saturated elements."""
        rec = self.recorder
        limit = 0 if rec.full else numbers.LIMIT // 4
        bounds = SATURATED.get(op)
        few = numbers.runs(x, limit) if bounds and limit else x
        if kind in _COUNTED:
            rec.add("site", site, "zeros", numbers.zeros(few, limit))
        if bounds is not None:
            low, high = bounds
            past = (few <= low) | (few >= high) if op in CLOSED else (few < low) | (few > high)
            rec.add("site", site, "saturated", numbers.share(past))

    def _entropy(self, site: int, p: Tensor) -> None:
        if p.shape[-1] > 1:
            mean, least = numbers.entropy(p.float())
            self.recorder.add("site", site, "entropy", mean)
            self.recorder.add("site", site, "entropy_min", least)

    def _chosen(self, call: OpCall, out: Any) -> None:
        """How what was chosen from a site's output is spread over its last axis."""
        if len(call.tensors) != 1 or len(call.inputs) != 1:
            return
        site, x = call.inputs[0], numbers.local(call.tensors[0])
        known = self.recorder.registry.sites[site]
        if known.kind == "input" or known.shape[-1:] != x.shape[-1:]:
            return
        found = chosen(call.op.name, call.args, call.kwargs, out, x)
        if found is not None:
            for metric, value in spread(found, x.shape[-1]).items():
                self.recorder.add("site", site, metric, value)

    def _scores(self, call: OpCall, site: int) -> None:
        """How large the scores are that a softmax was given."""
        scores = input_of(call.args, call.kwargs)
        z = numbers.plain(scores) if isinstance(scores, Tensor) else None
        if z is not None and z.dim() > 1:
            self.recorder.add("site", site, "logit_max", numbers.score(numbers.some_queries(z)))

    def measure(self, site: int, x: Tensor, mean: bool = True) -> None:
        """rms, non-finite count; with the full readings (float16: always) absmax; the mean."""
        rec = self.recorder
        size = numbers.norm(x)
        rms = size / (x.numel() or 1) ** 0.5
        rec.scalars.extend(core_keys(site), (rms, numbers.nonfinite(x, size)))
        if rec.full or mean or x.dtype == torch.float16:  # whose range ends at 65504
            rec.add("site", site, "absmax", numbers.absmax(x))
        if mean:
            rec.add(
                "site", site, "mean", x.mean(dtype=torch.float32 if x.element_size() < 4 else None)
            )
