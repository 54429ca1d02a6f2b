"""What a network is made of, from the sites of a run. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..schema import Run, Site
from .base import Facts

_KINDS: dict[str, str] = {
    "affine": "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "bilinear",
    "recurrent": "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    "activation": "relu sigmoid tanh gelu silu elu selu celu "
    "leaky_relu prelu softplus softsign hardtanh relu6 hardsigmoid hardswish mish",
    "norm": "batch_norm layer_norm group_norm instance_norm rms_norm",
    "attention": "scaled_dot_product_attention multi_head_attention_forward",
    "softmax": "softmax log_softmax",
    "join": "add iadd radd sub mul imul rmul multiply addcmul lerp cat concat stack "
    "where div truediv",
    "embedding": "embedding embedding_bag",
    "pool": "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d max_pool2d_with_indices mean",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout",
    "matmul": "matmul rmatmul mm bmm addmm baddbmm einsum",
}
#: Name of a torch function, without underscores around it -> kind. Functions of other names are
#: looked through. (The tape has a fuller table; it stands beside this layer and not below it.)
KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}

#: Only beyond so many sites can the tape have left some out.
LARGE = 1000
PRODUCTS = frozenset(("mul", "multiply", "imul", "rmul", "addcmul", "lerp"))
#: As a factor of a product, one of these is a gate and no activation to swap.
BOUNDED = frozenset(("sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"))
#: A layer called so often in one forward is a recurrence unrolled by hand.
CELL = 5
ADDITIONS = frozenset(("add", "iadd", "radd"))
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor", "rprop")


def of_run(run: Run) -> Facts:
    """Facts as far as a run's sites tell; a run without sites gives bare `Facts()`."""
    sites = run.sites
    weighty = _weighty(run)
    after = _reached(sites, {s.id for s in sites if weighty(s)})
    heavy = [s for s in sites if weighty(s)]
    hidden = [s for s in heavy if s.kind in ("affine", "matmul") and s.id in after]
    gates = {
        i
        for s in sites
        if s.op in PRODUCTS and len(s.inputs) > 1
        for i in s.inputs
        if 0 <= i < len(sites) and sites[i].op in BOUNDED
    }
    acts = [s.op for s in sites if s.kind == "activation" and s.id in after and s.id not in gates]
    shapes = {p.name: p.shape for p in run.params}
    used = {n for s in hidden for n in s.params if len(shapes.get(n, ())) >= 2}
    square = sum(shapes[n][0] == shapes[n][1] for n in used)
    seen = {n for s in heavy for n in s.params if len(shapes.get(n, ())) >= 2}
    return Facts(
        depth=round(_depth(sites, weighty) * _unseen(len(sites), len(seen), shapes)),
        activations=tuple(op for op, _ in Counter(acts).most_common()),
        norms=frozenset(s.op for s in sites if s.kind == "norm"),
        recurrent=frozenset(s.op for s in sites if s.kind == "recurrent") | _unrolled(heavy),
        skips=_skips(sites, weighty, _uses(heavy)),
        attention=any(s.kind == "attention" for s in sites),
        convolution=any("conv" in s.op for s in heavy),
        embedding=any(s.kind == "embedding" for s in sites),
        dropout=any(s.kind == "dropout" for s in sites),
        square=square,
        hidden=len({(s.path, s.op, s.index) for s in hidden}),
        floating=all("float" in s.dtype for s in sites if s.kind == "input" and s.op != "target"),
        step=0,
        **optimizer_facts(run.meta.get("optimizers") or ()),
    )


def optimizer_facts(optimizers: Iterable[Any]) -> dict[str, Any]:
    """`adaptive`, `optimizer` and `lr` from the tape's notes on optimizers."""
    noted = [o for o in optimizers if isinstance(o, Mapping)]
    if not noted:
        return {}
    name = str(noted[0].get("class", "")).lower()
    lr = noted[0].get("lr")
    return {
        "adaptive": any(a in name for a in _ADAPTIVE),
        "optimizer": name,
        "lr": float(lr) if isinstance(lr, (int, float)) else float("nan"),
    }


def _weighty(run: Run) -> Any:
    matrices = {p.name for p in run.params if len(p.shape) >= 2}

    def weighty(s: Site) -> bool:
        return s.kind in ("affine", "recurrent", "matmul", "attention", "custom") and any(
            n in matrices for n in s.params
        )

    return weighty


def _reached(sites: tuple[Site, ...], targets: set[int]) -> set[int]:
    """Ids of sites from whose output one of `targets` is reached."""
    found: set[int] = set()
    for s in reversed(sites):
        if s.id in targets or s.id in found:
            found.update(i for i in s.inputs if i != s.id)
    return found


def _depth(sites: tuple[Site, ...], weighty: Any) -> int:
    depth: dict[int, int] = {}
    for s in sites:
        above = max((depth.get(i, 0) for i in s.inputs), default=0)
        depth[s.id] = int(weighty(s)) + above
    return max(depth.values(), default=0)


def _unseen(sites: int, seen: int, shapes: Mapping[str, tuple[int, ...]]) -> float:
    """Weights there are for each that a site was seen to read: above 1 where a network is so large
    that the tape has stopped adding sites. Its depth is taken to go on likewise."""
    matrices = sum(len(shape) >= 2 for shape in shapes.values())
    return matrices / seen if sites >= LARGE and matrices > 1.2 * seen > 0 else 1.0


def _skips(sites: tuple[Site, ...], weighty: Any, uses: Counter[Place]) -> bool:
    """Whether an addition joins a branch with layers and what that branch began from."""
    additions = [s for s in sites if s.op in ADDITIONS and len(s.inputs) == 2]
    if not additions:
        return False  # sparing plain nets of 10,000 layers the sets below
    ancestors: dict[int, frozenset[int]] = {}
    layers: dict[int, int] = {}
    for s in sites:
        known = [i for i in s.inputs if i in ancestors]
        own = frozenset(known).union(*(ancestors[i] for i in known)) if known else frozenset()
        if s.op in ADDITIONS and len(known) == 2:
            a, b = known
            for near, far in ((a, b), (b, a)):
                if near in ancestors[far] and layers[far] > layers[near]:
                    return True
                single = uses[_place(sites[near])] == 1  # time steps share what they began from
                common = ancestors[near] & ancestors[far]
                if near not in ancestors[far] and common:
                    fork = max(layers[i] for i in common)
                    if layers[far] > fork + 1 and layers[near] == fork + 1 and single:
                        return True  # a projected shortcut
        ancestors[s.id] = own
        above = max((layers.get(i, 0) for i in s.inputs), default=0)
        layers[s.id] = int(weighty(s)) + above
    return False


Place = tuple[str, str, str, int]


def _place(s: Site) -> Place:
    return s.root, s.path, s.op, s.index


def _uses(heavy: list[Site]) -> Counter[Place]:
    """How often each layer is called in one forward."""
    return Counter(_place(s) for s in heavy)


def _unrolled(heavy: list[Site]) -> frozenset[str]:
    uses = _uses(heavy)
    return frozenset(("cell",)) if uses and max(uses.values()) >= CELL else frozenset()
