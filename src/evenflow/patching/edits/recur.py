"""Recurrent layers that remember: their weights, their gates, gated layers in their place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...lang import _
from ...treatments import Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit
from ..selecting import modules, names

_ORTHOGONAL = '''
def free_recurrence(model):
    """Orthogonal recurrent weights, gate by gate (arXiv:1504.00941)."""
    generator = torch.Generator().manual_seed({seed})
    for layer in {layers}:
        for name, p in layer.named_parameters(recurse=False):
            if name.startswith("weight_hh"):
                rows, size = p.shape
                blocks = [torch.empty(size, size) for _ in range(rows // size)]
                for block in blocks:
                    torch.nn.init.orthogonal_(block, {gain}, generator=generator)
                with torch.no_grad():
                    p.copy_(torch.cat(blocks))
'''
_FORGET = '''
def open_gates(model):
    """LSTM forget gates that start open (Gers et al. 2000; Jozefowicz et al. 2015)."""
    for layer in {layers}:
        for name, p in layer.named_parameters(recurse=False):
            if name.startswith("bias_"):
                size = p.shape[0] // 4
                level = {bias} if name.startswith("bias_ih") else 0.0
                with torch.no_grad():
                    p[size : 2 * size] = level
'''
_STATE = '''
class StateLSTM(torch.nn.LSTM):
    """An LSTM that takes and gives its state as an RNN does, without the cell's."""

    def forward(self, x, state=None):
        if state is not None:
            state = (state, torch.zeros_like(state))
        out, (state, _) = super().forward(x, state)
        return out, state
'''
_GATED = '''
def gate_recurrence(model):
    """A gated layer in the place of each RNN, its recurrence orthogonal, {gates}."""
    generator = torch.Generator().manual_seed({seed})
    for name in {names}:
        old = model.get_submodule(name)
        with torch.random.fork_rng(devices=[]):
            new = {cls}(
                old.input_size,
                old.hidden_size,
                old.num_layers,
                bias=old.bias,
                batch_first=old.batch_first,
                dropout=old.dropout,
                bidirectional=old.bidirectional,
            )
        with torch.no_grad():
            for key, p in new.named_parameters():
                if p.dim() == 1:
                    p.zero_()
{forget}                elif key.startswith("weight_hh"):
                    blocks = [torch.empty(p.shape[1], p.shape[1]) for _ in p.split(p.shape[1])]
                    for block in blocks:
                        torch.nn.init.orthogonal_(block, 1.0, generator=generator)
                    p.copy_(torch.cat(blocks))
                else:
                    torch.nn.init.xavier_uniform_(p, generator=generator)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, new.to(old.weight_hh_l0.device))
'''
_OPEN = """\
                    if key.startswith("bias_ih"):
                        p[p.shape[0] // 4 : p.shape[0] // 2] = 1.0
"""
_TRUNCATED = '''
class Truncated{cls}(torch.nn.{cls}):
    """Runs in pieces of {length} steps: no gradient from one to the one before."""

    def forward(self, x, state=None):
        time = 1 if self.batch_first and x.dim() == 3 else 0
        outs = []
        for piece in torch.split(x, {length}, dim=time):
            out, state = super().forward(piece, state)
            outs.append(out)
            state = {detached}
        return torch.cat(outs, dim=time), state
'''


def orthogonal(editing: Editing, p: Parsed) -> None:
    """Each square block of every recurrent weight."""
    root, view = editing.view(p)
    if view.cells or not view.recurrent:
        raise Unfit(_("the recurrence is written by hand, not by one of torch's layers."))
    place = editing.place(root)
    layers = modules(view, [path for path, _cls in view.recurrent])
    template = _ORTHOGONAL.format(seed=editing.seed(p), layers=layers, gain=number(p.value))
    editing.run(place, template)
    editing.did(p, place.file, _("orthogonal recurrent weights"))


def forget(editing: Editing, p: Parsed) -> None:
    """Forget gates that start open."""
    root, view = editing.view(p)
    found = [path for path, cls in view.recurrent if cls in ("LSTM", "LSTMCell")]
    if not found:
        raise Unfit(_("no LSTM of torch's own was seen."))
    place = editing.place(root)
    template = _FORGET.format(layers=modules(view, found), bias=number(p.value))
    editing.run(place, template)
    editing.did(p, place.file, _("forget gates that start open"))


def gated(editing: Editing, p: Parsed, *, cls: str) -> None:
    """A GRU, or an LSTM with an RNN's state, in the place of each nn.RNN."""
    root, view = editing.view(p)
    found = [path for path, kind in view.recurrent if kind == "RNN"]
    if not found:
        raise Unfit(_("no RNN of torch's own was seen."))
    place = editing.place(root)
    made = "torch.nn.GRU"
    if cls == "LSTM":
        made = editing.function(place, _STATE)
    template = _GATED.format(
        seed=editing.seed(p),
        names=names(found),
        cls=made,
        forget=_OPEN if cls == "LSTM" else "",
        gates="forget gates open" if cls == "LSTM" else "biases 0",
    )
    editing.run(place, template)
    editing.did(p, place.file, _("a gated layer in the place of an RNN"))


def truncated(editing: Editing, p: Parsed) -> None:
    """Pieces of so many steps, by a class of the script's own that each layer is turned into."""
    root, view = editing.view(p)
    found = [(path, cls) for path, cls in view.recurrent if cls in ("RNN", "LSTM", "GRU")]
    if not found:
        raise Unfit(_("the recurrence is written by hand, not by one of torch's layers."))
    place = editing.place(root)
    for path, cls in found:
        detached = "tuple(s.detach() for s in state)" if cls == "LSTM" else "state.detach()"
        template = _TRUNCATED.format(cls=cls, length=p.value, detached=detached)
        made = editing.function(place, template)
        layer = f"{place.model}.{path}" if path else place.model
        if not all(part.isidentifier() for part in layer.split(".")):
            layer = f'{place.model}.get_submodule("{path}")'
        editing.call(place, f"{layer}.__class__ = {made}")
    editing.did(p, place.file, _("no gradient further back than some steps"))


EDITS: dict[str, Callable[[Editing, Parsed], None]] = {
    "recurrent=orthogonal": orthogonal,
    "recurrent=forget-bias": forget,
    "recurrent=lstm": partial(gated, cls="LSTM"),
    "recurrent=gru": partial(gated, cls="GRU"),
    "recurrent=truncate": truncated,
}
