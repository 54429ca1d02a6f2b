"""A training by hand as text: forward, errors, each gradient as a product, each update."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import miniature as m
from ..lang import _, whole
from .by_hand import HandStep, Walked
from .net_file import NetFile

#: Weights of a layer that are told one by one, and samples of a batch; `--json` has all.
_WEIGHTS, _SAMPLES = 12, 4
_LOSS = {
    "squared": "E = ½ Σ (y - t)²",
    "squared-whole": "E = Σ (y - t)²",
    "cross-entropy": "E = -Σ t log softmax(y)",
}
_SLOPE = {"squared": "(y - t)", "squared-whole": "2 (y - t)", "cross-entropy": "(softmax(y) - t)"}


def text(net: NetFile, found: Walked) -> Iterator[str]:
    """Lines of a training."""
    yield _("{layers}, {loss}, η = {eta}, α = {alpha}, {mode}").format(
        layers=" → ".join(map(str, _sizes(net))),
        loss=_LOSS[net.loss],
        eta=number(net.eta),
        alpha=number(net.alpha),
        mode=_mode(net),
    )
    for step in found.told:
        yield ""
        yield from _step(net, step)
    yield ""
    yield from _end(net, found)


def number(value: float) -> str:
    """Six significant digits, as a reader would write them down."""
    return f"{float(value):.6g}".replace("-", "−")


def _sizes(net: NetFile) -> list[int]:
    return [net.layers[0].W.shape[1], *(len(n.W) for n in net.layers)]


def _mode(net: NetFile) -> str:
    if net.batch is None:
        return _("all samples at each update (epoch)")
    if net.batch == 1:
        return _("a sample at each update (online)")
    return _("{count} samples at each update (mini-batch)").format(count=net.batch)


def _vector(values: m.Floats) -> str:
    return "(" + ", ".join(number(float(v)) for v in values) + ")"


def _step(net: NetFile, step: HandStep) -> Iterator[str]:
    head = _("Update {step}, epoch {epoch}, samples {samples}")
    listed = ", ".join(map(str, step.samples[:20])) + (" ..." if len(step.samples) > 20 else "")
    yield head.format(step=step.step, epoch=step.epoch, samples=listed)
    for i, sample in enumerate(step.samples[:_SAMPLES]):
        yield from _sample(net, step, i, sample)
    more = len(step.samples) - _SAMPLES
    if more > 0:
        yield "  " + _("and {count} samples more").format(count=more)
    mean = _("the mean of {count} samples: ").format(count=len(step.samples))
    yield f"  E = {mean if len(step.samples) > 1 else ''}{number(step.loss)}"
    yield "  " + _("gradients: layer error × what the layer read")
    for k in range(len(step.before), 0, -1):
        yield from _gradients(step, k)
    yield "  " + _("updates: Δw = −η ∂E/∂w + α Δw of the update before")
    for k, (old, moved) in enumerate(zip(step.before, step.moves, strict=True), 1):
        yield from _moves(k, old, moved)
    yield "  " + _("E of the same samples afterwards: {loss}").format(loss=number(step.loss_after))


def _sample(net: NetFile, step: HandStep, i: int, sample: int) -> Iterator[str]:
    several = len(step.samples) > 1
    x, t = _vector(step.x[:, i]), _vector(step.t[:, i])
    yield "  " + _("sample {sample}: x = {x}, t = {t}").format(sample=sample, x=x, t=t)
    for k, layer in enumerate(step.before, 1):
        z, a = _vector(step.seen.z[k - 1][:, i]), _vector(step.seen.a[k][:, i])
        yield f"    z{k} = W{k} {'x' if k == 1 else f'a{k - 1}'} + b{k} = {z}"
        yield f"    a{k} = {layer.f}(z{k}) = {a}"
    depth, shared = len(step.before), f" / {len(step.samples)}" if several else ""
    top = f"{_SLOPE[net.loss].replace('y', f'a{depth}')} · f'(z{depth}){shared}"
    yield f"    E_o = {top} = {_vector(step.errors[-1][:, i])}"
    for k in range(depth - 1, 0, -1):
        name, behind = _error(k, depth), _error(k + 1, depth)
        handed = f"W{k + 1}ᵀ {behind} · f'(z{k})"
        yield f"    {name} = {handed} = {_vector(step.errors[k - 1][:, i])}"


def _error(k: int, depth: int) -> str:
    """E_o of the output, E_h of the only hidden layer, else E_h1, E_h2, ..."""
    return "E_o" if k == depth else "E_h" if depth == 2 else f"E_h{k}"


def _gradients(step: HandStep, k: int) -> Iterator[str]:
    """Each gradient as the product that it is; of several samples, the sum of one each."""
    name, read = _error(k, len(step.before)), "x" if k == 1 else f"a{k - 1}"
    error, signal, slope = step.errors[k - 1], step.seen.a[k - 1], step.gradients[k - 1]
    places = list(np.ndindex(*slope.W.shape))
    for i, j in places[:_WEIGHTS]:
        products = [f"{number(e)} · {number(s)}" for e, s in zip(error[i], signal[j], strict=True)]
        shown = " + ".join(products[:_SAMPLES]) + (" + ..." if len(products) > _SAMPLES else "")
        letters = f"{name}[{i + 1}] · {read}[{j + 1}]"
        if len(products) > 1:
            letters = f"Σ {letters}"
        found = number(float(slope.W[i, j]))
        yield f"    ∂E/∂W{k}[{i + 1},{j + 1}] = {letters} = {shown} = {found}"
    yield from _more(len(places))
    yield f"    ∂E/∂b{k} = {'Σ ' if error.shape[1] > 1 else ''}{name} = {_vector(slope.b)}"


def _moves(k: int, old: m.Layer, moved: m.Gradient) -> Iterator[str]:
    places = list(np.ndindex(*old.W.shape))
    for i, j in places[:_WEIGHTS]:
        was, by = float(old.W[i, j]), float(moved.W[i, j])
        yield f"    W{k}[{i + 1},{j + 1}]: {number(was)} {_signed(by)} → {number(was + by)}"
    yield from _more(len(places))
    yield f"    b{k}: {_vector(old.b)} + {_vector(moved.b)} → {_vector(old.b + moved.b)}"


def _more(count: int) -> Iterator[str]:
    if count > _WEIGHTS:
        yield "    " + _("... and {count} more").format(count=count - _WEIGHTS)


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {number(abs(value))}"


def _end(net: NetFile, found: Walked) -> Iterator[str]:
    why = {
        "steps": _("as many updates as were asked for"),
        "epochs": _("as many epochs as were asked for"),
        "error": _("E is small enough"),
        "patience": _("E has not been smaller for long enough"),
        "gradient": _("the gradient is small enough"),
    }[found.why]
    said = _("{updates} updates in all: {why}. E of all samples: {first} → {last}.")
    first, last = number(found.errors[0]), number(found.errors[-1])
    yield said.format(updates=whole(found.updates), why=why, first=first, last=last)
    yield _("Each number was found twice, by hand and by autograd; they are {apart} apart.").format(
        apart=f"{found.apart:.1g}"
    )
