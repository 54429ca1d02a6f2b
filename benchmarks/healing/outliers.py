"""A training on digits with planted accidents: python outliers.py [--seed N] [--plant none|all].

One batch in a hundred drowns in noise of 1e4 to 1e6 (a mere factor would leave a network without
biases right, and do no harm), one holds an infinite pixel, and in one the logits pass through
float16 and overflow. The last line tells the held-out accuracy; knows no Evenflow.
"""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

STEPS = 600


def accidents(seed: int) -> dict[int, float]:
    """Step -> size of the noise; inf: one infinite pixel; nan: an overflow in float16."""
    draw = torch.Generator().manual_seed(1000 + seed)
    steps = (torch.randperm(STEPS - 20, generator=draw)[:8] + 20).tolist()
    powers = (4 + 2 * torch.rand(6, generator=draw)).tolist()
    planted = {s: 10.0**p for s, p in zip(steps, powers, strict=False)}
    return {**planted, steps[6]: float("inf"), steps[7]: float("nan")}


def data() -> tuple[torch.Tensor, ...]:
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    return x[:1297], y[:1297], x[1297:], y[1297:]


def make(kind: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    norm = [nn.BatchNorm1d(64)] if kind == "batchnorm" else []
    net = nn.Sequential(
        nn.Linear(64, 64), *norm, nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    if kind == "momentum":
        return net, torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    return net, torch.optim.Adam(net.parameters(), 1e-3)


def train(seed: int, plant: bool, kind: str = "adam", steps: int = STEPS) -> tuple[float, bool]:
    """Held-out accuracy, and whether all weights and buffers are finite."""
    x, y, x_test, y_test = data()
    torch.manual_seed(seed)
    net, optimizer = make(kind)
    bad = accidents(seed) if plant else {}
    noise = torch.Generator().manual_seed(2000 + seed)
    for step in range(steps):
        batch = torch.randint(len(x), (64,))
        inputs, factor = x[batch].clone(), bad.get(step, 1.0)
        if factor == float("inf"):
            inputs[0, 30] = factor
        elif factor == factor and factor > 1:
            inputs = inputs + factor * torch.randn(inputs.shape, generator=noise)
        out = net(inputs)
        if factor != factor:
            out = (out.half() * 2.0**24).float() / 2.0**24
        optimizer.zero_grad()
        F.cross_entropy(out, y[batch]).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        accuracy = float((net(x_test).argmax(1) == y_test).float().mean())
    return accuracy, all(bool(t.isfinite().all()) for t in net.state_dict().values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plant", choices=("none", "all"), default="all")
    parser.add_argument("--kind", choices=("adam", "momentum", "batchnorm"), default="adam")
    args = parser.parse_args()
    accuracy, finite = train(args.seed, args.plant == "all", args.kind)
    print(f"finite {finite} acc {accuracy:.4f}")
