"""What heal is worth, and what it leaves alone.

    python benchmarks/heal.py                   accidents, rate and dying units, 3 seeds (2 minutes)
    python benchmarks/heal.py --healthy HALF    every healthy network of the zoo: equal to the bit?
    python benchmarks/heal.py --calibrate       how near healthy trainings come to the limits
    python benchmarks/heal.py --cost            time of a step with heal against without

Each program runs as its own user would, by `python` and by `evenflow run --heal`. The bar of each
is the clean run's accuracy minus one point, mean over the seeds.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent / "healing"
sys.path.insert(0, str(HERE.parents[1]))  # the zoo
#: Name, script, what makes it sick, what makes it clean.
PROGRAMS = (
    ("accidents, Adam", "outliers.py", "--plant all", "--plant none"),
    ("accidents, momentum", "outliers.py --kind momentum", "--plant all", "--plant none"),
    ("accidents, BatchNorm", "outliers.py --kind batchnorm", "--plant all", "--plant none"),
    ("rate 100 times too high", "rate.py", "--rate 10", "--rate 0.1"),
    ("the same, LambdaLR", "rate.py --schedule lambda", "--rate 10", "--rate 0.1"),
    ("the same, OneCycleLR", "rate.py --schedule onecycle", "--rate 10", "--rate 0.1"),
    ("all ReLU units off", "dying.py", "--bias=-5", "--bias=0"),
)


def run(
    folder: str, script: str, options: str, seed: int, heal: bool
) -> tuple[float, bool, list[dict]]:
    """Accuracy, whether the weights are finite, and the interventions of one run."""
    out, told = Path(folder) / "r.evenflow", Path(folder) / "r.json"
    ours = ["-m", "evenflow", "run", "--heal", "--quiet", "--out", str(out), "--json", str(told)]
    words = [str(HERE / script.split()[0]), *script.split()[1:], *options.split()]
    command = [sys.executable, *(ours if heal else []), *words, "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    finite, accuracy = re.findall(r"finite (\w+) acc ([0-9.]+)", done.stdout)[-1]
    events = json.loads(told.read_text())["healed"] if heal else []
    return float(accuracy), finite == "True", events


def programs(seeds: int, only: str) -> None:
    print("| program | clean | as it is | healed | interventions (clean twin under heal) |")
    print("|---|---|---|---|---|")
    for name, script, sick, clean in PROGRAMS:
        if only not in f"{name} {script}":
            continue
        with tempfile.TemporaryDirectory() as folder:
            bars, bare, healed, kinds, twin = [], [], [], {}, 0
            for seed in range(seeds):
                bars.append(run(folder, script, clean, seed, False)[0])
                accuracy, finite, _ = run(folder, script, sick, seed, False)
                bare.append(accuracy)
                accuracy, finite, events = run(folder, script, sick, seed, True)
                assert finite, "heal left weights that are not finite"
                healed.append(accuracy)
                for e in events:
                    kinds[e["did"]] = kinds.get(e["did"], 0) + 1
                accuracy, _, events = run(folder, script, clean, seed, True)
                assert accuracy == bars[-1], "the clean twin was changed"
                twin += len(events)
        mean = [100 * sum(v) / len(v) for v in (bars, bare, healed)]
        said = ", ".join(f"{n} {k}" for k, n in sorted(kinds.items())) or "none"
        mark = "" if mean[2] >= mean[0] - 1 else " **below the bar**"
        figures = f"{mean[0]:.1f} | {mean[1]:.1f} | {mean[2]:.1f}{mark}"
        print(f"| {name} | {figures} | {said} ({twin}) |", flush=True)


def healthy(half: str, seed: int) -> None:
    """Weights of every healthy network with and without heal, by the bits of its parameters."""
    import hashlib

    import torch

    import evenflow
    from evenflow.schema import interventions
    from zoo import select

    made: list[torch.optim.Optimizer] = []
    begin = torch.optim.Optimizer.__init__

    def kept(self: torch.optim.Optimizer, *args: object, **kwargs: object) -> None:
        begin(self, *args, **kwargs)  # type: ignore[arg-type]
        made.append(self)

    torch.optim.Optimizer.__init__ = kept  # type: ignore[method-assign]

    def bits() -> str:
        total = hashlib.sha256()
        for o in made:
            for g in o.param_groups:
                for p in g["params"]:
                    total.update(p.detach().numpy().tobytes())
        made.clear()
        return total.hexdigest()

    same = touched = 0
    cases = select(half, healthy=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            case.train(seed)
            bare = bits()
            path = Path(folder) / "r.evenflow"
            path.unlink(missing_ok=True)  # else the new run would be numbered
            with evenflow.watch(run=path, heal=True):
                case.train(seed)
            done = interventions(evenflow.load(path).events)
            equal = bits() == bare
            same, touched = same + equal, touched + bool(done)
            if done or not equal:
                print(
                    f"{case.name}: equal {equal}, {[(d.kind, d.reason, d.step) for d in done][:5]}"
                )
    told = f"{same} equal to the bit, {touched} with an intervention"
    print(f"{half}: {len(cases)} healthy trainings, {told}")


def calibrate(half: str, seeds: tuple[int, ...]) -> None:
    """The largest gradient norm against those before it, and the loss against its limits."""
    import evenflow
    from evenflow.monitor.healing import judge
    from zoo import select

    worst: dict[str, tuple[float, str]] = {}

    def note(what: str, value: float, where: str) -> None:
        if value > worst.get(what, (0.0, ""))[0]:
            worst[what] = (value, where)

    name = ""
    outlier, take = judge.Norms.outlier, judge.Losses.take

    def looked(self: judge.Norms, norm: float) -> bool:
        if self.seen and max(self.seen) > 0:
            known = "from 8 norms on" if len(self.seen) >= judge.LEAST else "before"
            note(f"norm / largest before ({known})", norm / max(self.seen), name)
        return outlier(self, norm)

    def taken(self: judge.Losses, loss: float) -> bool:
        gone = take(self, loss)
        if self.level == self.level and self.start > 0:
            note("loss level / start", self.level / self.start, name)
            won = self.start - min(self.best, self.start)
            if won > judge.WON * self.start and self.level > judge.TIMES_BEST * self.best:
                note("share lost of what was won", (self.level - self.best) / won, name)
        return gone

    judge.Norms.outlier, judge.Losses.take = looked, taken  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        for case in select(half, healthy=True):
            for seed in seeds:
                name = f"{case.name} seed {seed}"
                with evenflow.watch(run=Path(folder) / "r.evenflow", heal=True):
                    case.train(seed)
    for what, (value, where) in sorted(worst.items()):
        print(f"{what}: {value:.2f} ({where})")


def cost(pairs: int) -> None:
    """Seconds a step, watched with and without heal, in turns; medians of the pairs."""
    import torch
    from torch import nn

    import evenflow

    def loop(
        net: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, heal: bool, path: Path
    ) -> float:
        optimizer = torch.optim.Adam(net.parameters(), 1e-4)
        path.unlink(missing_ok=True)  # else the new run would be numbered
        with evenflow.watch(run=path, every=0, heal=heal):
            for k in range(steps + 20):
                if k == 20:
                    begin = time.perf_counter()
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
            return (time.perf_counter() - begin) / steps

    def perceptron(width: int, depth: int) -> nn.Module:
        layers = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.ReLU())]
        return nn.Sequential(*layers, nn.Linear(width, 10))

    def cnn() -> nn.Module:
        layers: list[nn.Module] = []
        for i in range(6):
            layers += [
                nn.Conv2d(3 if i == 0 else 32, 32, 3, padding=1),
                nn.BatchNorm2d(32),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))

    sizes = (
        ("perceptron 3 x 64, batch 64", lambda: perceptron(64, 3), (64, 64), 300),
        ("perceptron 4 x 512, batch 128", lambda: perceptron(512, 4), (128, 512), 60),
        ("CNN 6 x 32 with BatchNorm, 16 x 3 x 32 x 32", cnn, (16, 3, 32, 32), 20),
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, make, shape, steps in sizes:
            times: dict[bool, list[float]] = {False: [], True: []}
            for pair in range(pairs):
                for heal in ((False, True), (True, False))[pair % 2]:
                    torch.manual_seed(0)
                    net, x, y = make(), torch.randn(shape), torch.randint(0, 10, shape[:1])
                    times[heal].append(loop(net, x, y, steps, heal, Path(folder) / "r.evenflow"))
            ratios = sorted(b / a for a, b in zip(times[False], times[True], strict=True))
            a, b = (sorted(times[h])[pairs // 2] for h in (False, True))
            figures = f"{1e3 * a:.3f} -> {1e3 * b:.3f} ms a step ({1e6 * (b - a):+.0f} us)"
            print(f"{name}: {figures}, {100 * (ratios[pairs // 2] - 1):+.1f} %", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a program's name or script")
    parser.add_argument("--healthy", choices=("calibration", "report"))
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--cost", action="store_true")
    args = parser.parse_args()
    if args.healthy:
        healthy(args.healthy, 100 if args.healthy == "calibration" else 0)
    elif args.calibrate:
        calibrate("calibration", (100, 101, 102))
    elif args.cost:
        cost(7)
    else:
        programs(args.seeds, args.only)
