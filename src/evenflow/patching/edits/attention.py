"""Attention that cannot collapse: rows cut short, spectral norms, queries and keys normalised."""

from __future__ import annotations

import libcst as cst

from ...lang import _
from ...treatments import KnownAttention, Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..patch import Unfit
from ..script_file import ScriptFile
from ..selecting import names
from ..targets import keyword, last_name

_MAX_NORM = '''
def shorten_rows(model):
    """Rows of query, key and value weights at most {bound} long at the start."""
    for name in {names}:
        weight = model.get_parameter(name)
        norms = torch.linalg.vector_norm(weight.detach().float(), dim=1, keepdim=True)
        with torch.no_grad():
            weight.copy_(weight * ({bound} / norms.clamp_min({bound})))
'''
_SIGMA = '''
class SigmaReparam(torch.nn.Module):
    """(gamma / sigma(W)) W, gamma trainable (arXiv:2303.06296)."""

    def __init__(self, weight, generator):
        super().__init__()
        w = weight.detach().float()
        for name, size in (("u", w.shape[0]), ("v", w.shape[1])):
            start = self.unit(torch.randn(size, generator=generator).to(w.device))
            self.register_buffer(name, start)
        for _ in range(200):
            self.iterate(w)
        self.gamma = torch.nn.Parameter(self.sigma(weight.detach()).clone())

    def forward(self, weight):
        if self.training and torch.is_grad_enabled():
            self.iterate(weight.detach().float())
        return weight * (self.gamma / self.sigma(weight))

    def sigma(self, weight):
        u, v = self.u.to(weight.dtype).clone(), self.v.to(weight.dtype).clone()
        return torch.dot(u, torch.mv(weight, v))

    @torch.no_grad()
    def iterate(self, w):
        self.v.copy_(self.unit(torch.mv(w.t(), self.u)))
        self.u.copy_(self.unit(torch.mv(w, self.v)))

    def unit(self, x):
        return x / torch.linalg.vector_norm(x).clamp_min(1e-12)
'''
_PARAMETRIZE = '''
def hold_norms(model):
    """Keep query, key and value weights at their spectral norm, times a trainable scalar."""
    generator = torch.Generator().manual_seed({seed})
    for path, name in {pairs}:
        layer = model.get_submodule(path)
        made = {cls}(getattr(layer, name), generator)
        torch.nn.utils.parametrize.register_parametrization(layer, name, made)
'''
_QK = '''
def add_qk_norms(model):
    """A norm for the queries and one for the keys of each attention (arXiv:2010.04245)."""
    device = next(model.parameters()).device
    for name in {names}:
        module = model.get_submodule(name)
        module.query_norm = torch.nn.RMSNorm({size}).to(device)
        module.key_norm = torch.nn.RMSNorm({size}).to(device)
'''


def max_norm(editing: Editing, p: Parsed) -> None:
    """Rows of the weights in front of the scores at most so long, once."""
    root, view = editing.view(p)
    wanted = [f"{path}.{name}" if path else name for path, name in view.attending]
    if not wanted:
        raise Unfit(_("no attention with query and key layers of its own was seen."))
    place = editing.place(root)
    template = _MAX_NORM.format(bound=number(p.value), names=names(wanted))
    editing.run(place, template)
    editing.did(p, place.file, _("rows of attention's weights cut short"))


def sigma(editing: Editing, p: Parsed) -> None:
    """Weights in front of the scores as a trainable scalar times a weight of norm 1."""
    root, view = editing.view(p)
    if not view.attending:
        raise Unfit(_("no attention with query and key layers of its own was seen."))
    place = editing.place(root)
    pairs = ", ".join(f'("{path}", "{name}")' for path, name in view.attending)
    template = _PARAMETRIZE.format(
        seed=editing.seed(p), pairs=f"[{pairs}]", cls=editing.function(place, _SIGMA)
    )
    editing.run(place, template)
    editing.did(p, place.file, _("attention's weights held by their spectral norm"))


def qk_norm(editing: Editing, p: Parsed) -> None:
    """Norms beside each attention, and its queries and keys through them where they come in."""
    root, view = editing.view(p)
    if not view.attention:
        raise Unfit(_("no call of torch's attention was seen."))
    calls = {}
    for a in view.attention:
        file, call, me = _attending(editing, a)
        calls[file.name, file.span(call)[0]] = file, call, me
    place = editing.place(root)
    sizes = {a.size for a in view.attention}
    if len(sizes) > 1:
        raise Unfit(_("heads are of different sizes."))
    wanted = list(dict.fromkeys(a.path for a in view.attention))
    template = _QK.format(names=names(wanted), size=sizes.pop())
    editing.run(place, template)
    for file, call, me in calls.values():
        for at, (name, norm) in enumerate((("query", "query_norm"), ("key", "key_norm"))):
            given = keyword(call, name) or call.args[at]
            file.replace(given.value, f"{me}.{norm}({file.code(given.value)})")
        editing.did(p, file, _("queries and keys normalised before their scores"))


def _attending(editing: Editing, a: KnownAttention) -> tuple[ScriptFile, cst.Call, str]:
    """The call of attention in a method of the module itself, and what that calls itself."""
    if a.called is None or a.called.file not in editing.sources or a.cls == "MultiheadAttention":
        said = _("{cls} projects and attends in one call of torch's own.").format(cls=a.cls)
        raise Unfit(said, a.called)
    file = editing.file(a.called.file)
    fused = "scaled_dot_product_attention"
    found = [c for c in file.calls_at(a.called.line) if last_name(c.func) == fused]
    method = file.within(found[0], cst.FunctionDef) if len(found) == 1 else None
    owner = file.within(method, cst.ClassDef) if method is not None else None
    if method is None or owner is None or owner.name.value != a.cls:
        raise Unfit(_("the attention is called outside a method of its module."), a.called)
    if not method.params.params or (len(found[0].args) < 2 and keyword(found[0], "key") is None):
        raise Unfit(_("the call does not show its queries and keys."), a.called)
    return file, found[0], str(method.params.params[0].name.value)


EDITS = {
    "attention=max-norm": max_norm,
    "attention=sigma-reparam": sigma,
    "attention=qk-norm": qk_norm,
}
