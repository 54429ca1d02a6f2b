"""LSUV: weights scaled on the first training batch that the script's own loop brings.

A hook of the model waits for that batch, sends it through once, sets each layer as it is met, and
is gone: the data order stays as it was.
"""

from __future__ import annotations

from ...lang import _
from ...treatments import KnownModel, Parsed
from ..editing import Editing
from ..patch import Unfit
from ..selecting import modules, owned
from .draw import attentions

_START = '''
def start_from_batch(model):
    """{about}"""
    generator = torch.Generator().manual_seed({seed})
    layers = {layers}
    heads = {heads}
{met}
    @torch.no_grad()
    def fit(layer, args):
{once}        weight = torch.empty(layer.weight.shape)
        torch.nn.init.orthogonal_(weight, generator=generator)
        rows = max(1.0, len(weight) / weight[0].numel()) ** 0.5
        layer.weight.copy_(weight * rows)
{zero}{forward}{scale}

{attend}    def first(model, args, kwargs):
        if not (model.training and torch.is_grad_enabled()):
            return
        waiting.remove()
        hooks = [m.register_forward_pre_hook(fit) for m in layers]
{attended}{run}        for hook in hooks:
            hook.remove()

    waiting = model.register_forward_pre_hook(first, with_kwargs=True)
'''
_WHOLE = """\
{deep}spread = z.std(correction=0)
{deep}if spread > 0:
{deep}    layer.weight.div_(spread)"""
_CENTRED = """\
        if layer in heads:
{whole}
        else:
            std, mean = torch.std_mean(z, 0, correction=0)
            sound = std > 1e-6 * z.std()
            std = torch.where(sound, std, 1.0)
            layer.weight.div_(std.view(-1, *[1] * (weight.dim() - 1)))
"""
_BIAS = "            layer.bias.copy_(torch.where(sound, -mean / std, 0.0))"
_ATTEND = """\
    def project(part, x=None):
        weight = torch.empty(part.shape)
        torch.nn.init.orthogonal_(weight, generator=generator)
        part.copy_(weight * max(1.0, len(weight) / weight.shape[1]) ** 0.5)
        if x is not None:
            part.div_(torch.nn.functional.linear(x, part).float().std(correction=0))

    @torch.no_grad()
    def fit_attention(module, args, kwargs):
        given = [*args, *(kwargs[k] for k in ("query", "key", "value") if k in kwargs)]
        for bias in (module.in_proj_bias, module.out_proj.bias):
            if bias is not None:
                bias.zero_()
        parts = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        if module.in_proj_weight is not None:
            parts = module.in_proj_weight.detach().chunk(3)
        for part, x in zip(parts, given):
            project(part, x)
        project(module.out_proj.weight)
        out = module.forward(*args, **kwargs)
        module.out_proj.weight.div_(out[0].float().std(correction=0))

"""
_ATTENDED = """\
        hooks += [
            m.register_forward_pre_hook(fit_attention, with_kwargs=True)
            for m in model.modules()
            if isinstance(m, torch.nn.MultiheadAttention)
        ]
"""
_MIXED = """\
        z = layer.forward(*args)
        if weight.dim() > 2:
            z = z.movedim(1, -1)
        z = z.flatten(0, -2).float()
"""
_ONCE = """\
        if layer in met:
            return
        met.add(layer)
"""
_RUN = """\
        with torch.no_grad():
            model(*args, **kwargs)
"""
_RUN_RANDOM = """\
        drops = [m for m in model.modules() if "Dropout" in type(m).__name__ and m.training]
        for m in drops:
            m.eval()
        with torch.no_grad(), torch.random.fork_rng():
            model(*args, **kwargs)
        for m in drops:
            m.train()
"""
_RUN_BUFFERS = """\
        kept = [(b, b.clone()) for b in model.buffers()]
{run}        for buffer, value in kept:
            buffer.copy_(value)
"""


def lsuv(editing: Editing, p: Parsed) -> None:
    """Orthogonal weights, each layer (`centred`: each unit) at deviation 1 on the first batch."""
    root, view = editing.view(p)
    layers = owned(view.layers)
    heads = [layer.path for layer in layers if not layer.hidden]
    if not layers:
        raise Unfit(_("no layer has a weight."))
    centred = p.entry.method == "lsuv-centred"
    conv = [len(layer.shape) > 2 for layer in layers]
    move = ".movedim(1, -1)" if all(conv) else ""
    forward = f"        z = layer.forward(*args){move}.flatten(0, -2).float()\n"
    if any(conv) and not all(conv):
        forward = _MIXED
    attending = attentions(view)
    shared = any(layer.calls > 1 for layer in layers)
    bias = all(layer.bias for layer in layers)
    zero = "        layer.bias.zero_()\n"
    if not bias:
        zero = "        if layer.bias is not None:\n            layer.bias.zero_()\n"
    template = _START.format(
        seed=editing.seed(p),
        about="Centred LSUV on the first training batch (cf. arXiv:1511.06422)."
        if centred
        else "LSUV on the first training batch: outputs of deviation 1 (arXiv:1511.06422).",
        layers=modules(view, [layer.path for layer in layers]),
        heads=_heads(view, heads),
        zero=zero,
        forward=forward,
        scale=_scale(view, centred),
        run=_run(view),
        attend=_ATTEND if attending else "",
        attended=_ATTENDED if attending else "",
        met="    met = set()\n" if shared else "",
        once=_ONCE if shared else "",
    )
    if not centred:
        template = "\n".join(x for x in template.split("\n") if not x.startswith("    heads ="))
    place = editing.place(root)
    editing.run(place, template)
    editing.did(p, place.file, _("weights scaled on the first training batch"))


def _heads(view: KnownModel, heads: list[str]) -> str:
    ordered = [layer.path for layer in view.layers]
    if heads == ordered[-len(heads) :]:
        return f"layers[-{len(heads)}:]"
    return "[" + ", ".join(f"layers[{ordered.index(h)}]" for h in heads) + "]"


def _scale(view: KnownModel, centred: bool) -> str:
    if not centred:
        return _WHOLE.format(deep=" " * 8)
    centred_code = _CENTRED.format(whole=_WHOLE.format(deep=" " * 12))
    hidden = [layer.bias for layer in view.layers if layer.hidden]
    if all(hidden):
        return centred_code + _BIAS
    if not any(hidden):
        return centred_code.rstrip("\n")
    return f"{centred_code}            if layer.bias is not None:\n    {_BIAS}"


def _run(view: KnownModel) -> str:
    run = _RUN_RANDOM if view.dropout else _RUN
    return _RUN_BUFFERS.format(run=run) if view.buffers else run
