"""Does any reading foresee a loss spike? Induced spikes, calm runs, and spikes of the data.

    python benchmarks/spikes.py [--seeds 3] [--jobs 1] [--only REGEX] [--out FILE.json]

Small networks are trained calmly; from step `ONSET` on something grows that ends in a spike: the
rate, the rounding of the arithmetic, logits or weights. Spikes of the data (one bad batch) are the
negative control, which nothing can foresee. Each runs under `evenflow.watch(every="auto")`, and
readings are taken from the run file at the samples it made; three that no run file holds
(kurtosis, spectral concentration, the cosine of successive gradients) are taken by the loop at the
same steps. A reading's score is its logarithm against its own median over the earlier samples
(cosines: the fall). Its threshold is the highest score of the calm runs on calibration seeds, a
tenth more; on the report seeds it must warn 15 steps before 80 % of the spikes and never of a calm
run. What earns that may become EF406; the table shows what does.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent))

from induced import KINDS, ONSET, STEPS, Kind, Tiny, rows, words

#: Steps a warning must come before the spike.
AHEAD = 15
CALIBRATION_SEED = 100
FAMILIES = ("rate", "precision", "logits")


Series = dict[str, list[tuple[int, float]]]


@dataclass
class Ran:
    """One training: where its loss spiked first, and the readings, (step, value) each."""

    kind: str
    family: str
    seed: int
    spike: int | None
    sampled: int
    series: Series = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    error: str = ""


def first_spike(loss: Sequence[float]) -> int | None:
    """The first step after the onset whose loss, and the next one's, leave the band before.

    Twice the lowest median of thirty steps so far, and eight robust deviations of the latest
    thirty above it; or NaN.
    """
    y = np.array(loss)
    best = np.inf
    for t in range(30, len(y)):
        past = y[t - 30 : t]
        middle = float(np.median(past))
        best = min(best, middle)
        deviation = 1.5 * float(np.median(np.abs(past - middle))) + 1e-9
        bar = max(2 * best, best + 8 * deviation)
        if t >= ONSET and (
            not np.isfinite(y[t]) or (len(y) > t + 1 and (y[t : t + 2] > bar).all())
        ):
            return t
    return None


def concentration(model: nn.Module) -> float:
    """Largest share that the first singular value has of a weight's sum of squares."""
    shares = []
    for p in model.parameters():
        if p.dim() == 2:
            values = torch.linalg.svdvals(p.detach())
            shares.append(float(values[0] ** 2 / (values**2).sum()))
    return max(shares)


def train(kind: Kind, seed: int, run: Path) -> tuple[list[float], Series]:
    """The losses of every step, and the readings that no run file holds, every fifth step."""
    import evenflow

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = kind.net()
    optimizer = kind.optimizer(model.parameters(), lr=kind.lr)
    batch = words if isinstance(model, Tiny) else rows
    losses: list[float] = []
    own: Series = {"kurtosis": [], "concentration": [], "cosine": []}
    kurtoses: list[float] = []

    def heard(module: nn.Module, args: object, out: Tensor) -> None:
        x = out.detach() - out.detach().mean()
        kurtoses.append(float((x**4).mean() / (x**2).mean() ** 2))

    before = None
    with evenflow.watch(run=run, every="auto"):
        for step in range(STEPS):
            x, y = kind.spoil(step, *batch(32))
            kind.grow(step, model, optimizer)
            look = step % 5 == 0
            hooks = [m.register_forward_hook(heard) for m in model.children()] if look else []
            logits = model(x)
            for hook in hooks:
                hook.remove()
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                break
            now = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
            if look and before is not None:
                own["kurtosis"].append((step, max(kurtoses)))
                own["concentration"].append((step, concentration(model)))
                cosine = float(F.cosine_similarity(now, before, dim=0))
                own["cosine"].append((step, math.exp(-cosine)))
                kurtoses.clear()
            before = now
    return losses, own


def readings(run: Path) -> tuple[int, Series]:
    """Candidates that a run file holds: (samples, readings by name)."""
    import evenflow

    stored = evenflow.load(run)
    steps = [int(s) for s in stored.steps]
    columns: dict[str, list[np.ndarray]] = {}

    def add(name: str, column: np.ndarray | None) -> None:
        if column is not None and len(column):
            columns.setdefault(name, []).append(column)

    for p in stored.params:
        update, weight = stored.param(p.id, "update"), stored.param(p.id, "weight")
        if update is not None and weight is not None:
            add("update ratio", update / np.maximum(weight, 1e-12))
        add("gradient of a parameter", stored.param(p.id, "grad"))
    for site in stored.sites:
        rms = stored.site(site.id, "rms")
        absmax = stored.site(site.id, "absmax")
        add("activation", rms)
        add("attention logits", stored.site(site.id, "logit_max"))
        if rms is not None and absmax is not None:
            with np.errstate(invalid="ignore"):
                add("largest over rms", absmax / np.maximum(rms, 1e-12))
    add("gradient norm", stored.step("grad_norm"))
    add("rate", stored.step("lr"))
    out: Series = {}
    with np.errstate(all="ignore"):
        for name, found in columns.items():
            # each site or parameter against its own past; the largest counts
            scores = np.array([_against_past(c) for c in found])
            peak = np.where(
                np.isnan(scores).all(0), np.nan, np.nanmax(np.nan_to_num(scores, nan=-np.inf), 0)
            )
            out[name] = [(s, float(v)) for s, v in zip(steps, peak, strict=True) if v == v]
    return len(steps), out


def _against_past(column: np.ndarray) -> np.ndarray:
    """log of each value over the median of those before it; NaN for the first ten."""
    score = np.full(len(column), np.nan)
    logs = np.log(np.maximum(column, 1e-30))
    for i in range(len(column)):
        past = logs[max(0, i - 60) : i]
        past = past[np.isfinite(past)]
        if len(past) >= 10:
            score[i] = logs[i] - np.median(past)
    return score


def one(task: tuple[str, int]) -> Ran:
    """One training and its readings as scores; says "error" instead of raising."""
    name, seed = task
    kind = next(k for k in KINDS if k.name == name)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "r.evenflow"
        try:
            losses, own = train(kind, seed, run)
            sampled, series = readings(run)
        except Exception as error:
            return Ran(name, kind.family, seed, None, 0, error=f"{type(error).__name__}: {error}")
    for reading, values in own.items():
        score = _against_past(np.array([v for _, v in values]))
        series[reading] = [(s, float(v)) for (s, _), v in zip(values, score, strict=True) if v == v]
    noise = np.abs(np.diff(np.log(np.maximum(losses, 1e-9))))
    smooth = np.convolve(noise, np.ones(10) / 10, "valid")
    score = _against_past(smooth)
    series["noise of the loss"] = [(i + 10, float(v)) for i, v in enumerate(score) if v == v]
    return Ran(name, kind.family, seed, first_spike(losses), sampled, series, losses)


def lead(ran: Ran, reading: str, bar: float) -> int | None:
    """Steps between the first score above the bar and the spike; None: no warning before it."""
    ends = ran.spike if ran.spike is not None else STEPS
    for step, score in ran.series.get(reading, ()):
        if 30 <= step < ends and score > bar:
            return ends - step
    return None


def bars(calibration: Sequence[Ran]) -> dict[str, float]:
    """A tenth above the highest score of a calm run, by reading."""
    out: dict[str, float] = {}
    for ran in calibration:
        for reading, scores in ran.series.items() if ran.family == "calm" else ():
            highest = max((s for step, s in scores if step >= 30), default=-math.inf)
            out[reading] = max(out.get(reading, -math.inf), 1.1 * highest)
    return out


def table(calibration: Sequence[Ran], report: Sequence[Ran]) -> str:
    """A row a reading, one for whichever comes first, then where the spikes were."""
    spiked = [r for r in report if r.family not in ("calm", "data") and r.spike is not None]
    head = f"{'reading':24} {'bar':>6} " + " ".join(f"{f:>10}" for f in FAMILIES)
    lines = [f"{head}  {'>=15 ahead':>10} {'median':>7} {'calm accused':>13} {'data':>6}"]
    bar = bars(calibration)
    leads = {name: [lead(r, name, bar[name]) for r in report] for name in sorted(bar)}
    known = [name for name in leads if name != "rate"]  # a schedule's growth is no forecast
    leads["any but the rate"] = [
        max((found for n in known if (found := leads[n][i]) is not None), default=None)
        for i in range(len(report))
    ]
    for name, found in leads.items():
        of = {id(r): found[i] for i, r in enumerate(report)}
        cells = []
        for family in FAMILIES:
            some = [r for r in spiked if r.family == family]
            cells.append(f"{sum((of[id(r)] or 0) >= AHEAD for r in some)}/{len(some)}")
        warned = [of[id(r)] or 0 for r in spiked]
        share = float(np.mean([w >= AHEAD for w in warned])) if warned else math.nan
        middle = float(np.median(warned)) if warned else math.nan
        falsely = [
            f"{sum(of[id(r)] is not None for r in some)}/{len(some)}"
            for some in ([r for r in report if r.family == f] for f in ("calm", "data"))
        ]
        lines.append(
            f"{name:24} {bar.get(name, math.nan):6.2f} " + " ".join(f"{c:>10}" for c in cells)
            + f"  {share:10.0%} {middle:7.0f} {falsely[0]:>13} {falsely[1]:>6}"
        )  # fmt: skip
    lines.append("")
    for kind in dict.fromkeys(r.kind for r in report):
        runs = [r for r in report if r.kind == kind]
        at = ", ".join("none" if r.spike is None else str(r.spike) for r in runs)
        lines.append(f"{kind:20} spike at {at}; samples {', '.join(str(r.sampled) for r in runs)}")
    lines += [f"ERROR {r.kind} {r.seed}: {r.error}" for r in (*calibration, *report) if r.error]
    return "\n".join(lines)


def main() -> int:
    """Train all, print the table."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--seeds", type=int, default=3, help="of either half")
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--only", default="", metavar="REGEX")
    p.add_argument("--out", type=Path, metavar="FILE")
    o = p.parse_args()
    names = [k.name for k in KINDS if re.search(o.only, k.name)]
    calm = [k.name for k in KINDS if k.family == "calm"]
    halves = (
        [(n, CALIBRATION_SEED + s) for s in range(o.seeds) for n in calm],
        [(n, s) for s in range(o.seeds) for n in names],
    )
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(o.jobs, context) as pool:
        calibration, report = (list(pool.map(one, tasks)) for tasks in halves)
    print(table(calibration, report))
    if o.out:
        o.out.write_text(json.dumps([asdict(r) for r in (*calibration, *report)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
