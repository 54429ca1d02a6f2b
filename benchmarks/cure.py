"""How many sick trainings are cured, with twelve runs each: Evenflow, a fixed list, chance.

    python benchmarks/cure.py [--programs 16] [--seeds 3] [--out benchmarks/cure.json]

Sixteen sick trainings of the zoo's report half, named below before any was cured: faults of
start, activation, rate, normalisation and data scale, which a treatment can mend (a wrong mask or
shuffled labels it cannot). Cured means: the held-out score is within two points of the healthy
twin's on the same seed (0.02, or 2 % of a score beyond 1). Each method gets the work of twelve
runs a program and seed:

    nothing      the training as it is
    list         the fixed repairs of AutoTrainer (see PEERS.md), a whole run each; the best of
                 them by the held-out score counts, which is more than its own alarms could choose
    random       eleven courses drawn from all that is in the registry, a whole run each, best kept
    ours         prescription, halving, combinations, rates, proof over three seeds: `--budget 12x`

Runs are forks of one process that has imported torch; a training is stopped at its horizon.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

import evenflow
from evenflow.treatments import REGISTRY as TREATMENTS
from evenflow.treatments import treat_
from evenflow.trial.budget import Budget
from evenflow.trial.conduct import Patient, Settings
from evenflow.trial.injection import Injection
from evenflow.trial.job import Job, Outcome, as_json, outcome_from, thinned
from evenflow.zoo import REGISTRY

PROGRAMS = (
    "cnn-sigmoid-12",
    "cnn-large-start",
    "cnn-negative-bias",
    "cnn-dies",
    "cnn-relu-20",
    "cnn-rate",
    "cnn-bytes",
    "residual-no-norm",
    "residual-explodes",
    "residual-rate",
    "gated-slow",
    "decoder-rate",
    "decoder-sharp",
    "tabular-regression-raw-input",
    "tabular-regression-raw-target",
    "tabular-regression-diverges",
)
RUNS = 12
#: AutoTrainer's repairs in our words, in its order; batch size cannot be changed from outside.
LIST = (
    "activation=relu->selu",
    "activation=sigmoid->relu; init=he",
    "activation=tanh->relu; init=he",
    "norm=batch",
    "clip=norm:1.0",
    "activation=relu->tanh",
    "init=he",
    "init=xavier",
    "activation=relu->leaky_relu:0.1",
    "optimizer=adam:0.001",
    "lr=x0.1",
)


class Forks:
    """Runs a zoo case in forks of this process; seeds of the proof are far from the program's."""

    def __init__(self, case: Any, seed: int, folder: Path) -> None:
        self.case, self.seed, self.folder = case, seed, folder

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job in jobs:
            yield job, self.one(job)

    def one(self, job: Job) -> Outcome:
        began = time.monotonic()
        told = self.folder / f"{job.key}.json"
        pid = os.fork()
        if pid == 0:
            try:
                _train(self.case, self.seed + 1000 * job.seed, job, told)
            finally:
                os._exit(1)
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() - began > job.seconds:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                return Outcome("time", seconds=job.seconds)
            time.sleep(0.01)
        if not told.exists():
            return Outcome("error", "the process ended without a word")
        return outcome_from(json.loads(told.read_text()))


def _train(case: Any, seed: int, job: Job, told: Path) -> None:
    """In the fork: train, and leave by `os._exit`."""
    path = told.with_suffix(".evenflow")
    watch = evenflow.watch(run=path, every="auto" if job.watch else 0)
    began, first, updates = time.monotonic(), [0.0], [0]

    def end(how: str, error: str = "", score: float | None = None) -> None:
        seen = watch.step
        watch.close()
        run = evenflow.load(path)
        # The watch counts the updates of a treatment's own optimizer, too.
        numbers = [s * updates[0] // max(seen, 1) for s in run.curve_steps.tolist()]
        at, losses = thinned(numbers, run.curve_loss.tolist())
        outcome = Outcome(
            how,
            error,
            steps=updates[0],
            seconds=time.monotonic() - began,
            start=first[0],
            loss_steps=at,
            losses=losses,
            metric=score if score is not None and math.isfinite(score) else None,
            run=str(path),
        )
        told.write_text(json.dumps(as_json(outcome)))
        os._exit(0)

    def stepped(optimizer: Any, *_: object) -> None:
        if not injection.knows(optimizer):
            return
        updates[0] += 1
        first[0] = first[0] or time.monotonic() - began
        if job.steps and updates[0] >= job.steps:
            end("horizon")

    injection = Injection(
        job.treatments, treat_, alone=watch.alone, refused=lambda e: end("refused", str(e))
    )
    register_optimizer_step_post_hook(stepped)
    try:
        score = case.train(seed)
    except Exception as error:
        end("error", f"{type(error).__name__}: {error}")
    else:
        end("finished", score=score)


def ours(case: Any, seed: int, folder: Path) -> dict[str, Any]:
    settings = Settings(metric="score", budget=f"{RUNS}x")
    forks = Forks(case, seed, folder)
    cure = Patient(settings, forks, Budget(runs=float(RUNS))).cure()
    score = cure.after.per_seed[0] if cure.chosen and cure.after.per_seed else None
    untreated = cure.before.per_seed[0] if cure.before.per_seed else None
    full = cure.trials[0].outcome.steps
    spent = sum(t.outcome.steps for t in cure.trials) / max(1, full)
    return {
        "score": score if score is not None else untreated,
        "chosen": cure.chosen,
        "verdict": cure.verdict,
        "runs": round(spent, 1),
    }


def best_of(case: Any, seed: int, folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """The best held-out score among whole runs, the untreated one included."""
    forks, found = Forks(case, seed, folder), []
    for text in ("", *texts):
        outcome = forks.one(Job(text, seconds=120.0))
        if outcome.ended == "finished" and outcome.metric is not None:
            found.append((outcome.metric, text))
    score, chosen = max(found, default=(None, ""))
    return {"score": score, "chosen": chosen, "runs": 1 + len(texts)}


def drawn(case: Any, seed: int) -> list[str]:
    """Courses at random: one to three treatments of different kinds, at values of the registry."""
    rng = random.Random(f"{case.name}/{seed}")
    entries = [e for e in TREATMENTS.values() if e.apply]
    courses = []
    for _ in range(RUNS - 1):
        kinds: dict[str, str] = {}
        for entry in rng.sample(entries, rng.randint(1, 3)):
            value = rng.choice(list(entry.values))
            kinds.setdefault(entry.kind, f"{entry.kind}={value}" if value else entry.kind)
        courses.append("; ".join(kinds.values()))
    return courses


def cured(score: float | None, twin: float) -> bool:
    """Within two points of the healthy twin; a tie or better counts."""
    return score is not None and score >= twin - max(0.02, 0.02 * abs(twin))


def one(name: str, seed: int) -> dict[str, Any]:
    """A program on a seed, by every method."""
    case = REGISTRY[name]
    with TemporaryDirectory() as folder:

        def at(method: str) -> Path:
            path = Path(folder) / method
            path.mkdir()
            return path

        began = time.monotonic()
        twin = Forks(REGISTRY[case.twin], seed, at("twin")).one(Job(seconds=120.0)).metric
        row: dict[str, Any] = {
            "program": name,
            "seed": seed,
            "twin": twin,
            "nothing": best_of(case, seed, at("nothing"), ()),
            "list": best_of(case, seed, at("list"), LIST),
            "random": best_of(case, seed, at("random"), drawn(case, seed)),
            "ours": ours(case, seed, at("ours")),
        }
        row["seconds"] = round(time.monotonic() - began, 1)
    for method in ("nothing", "list", "random", "ours"):
        row[method]["cured"] = twin is not None and cured(row[method]["score"], twin)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=len(PROGRAMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="one program")
    parser.add_argument("--jobs", type=int, default=1, help="programs side by side")
    parser.add_argument("--out", default="benchmarks/cure.json")
    args = parser.parse_args()
    names = [args.only] if args.only else PROGRAMS[: args.programs]
    torch.set_num_threads(1)
    rows = []
    with ThreadPoolExecutor(args.jobs) as pool:
        tasks = [pool.submit(one, n, s) for s in range(args.seeds) for n in names]
        for task in tasks:
            row = task.result()
            rows.append(row)
            Path(args.out).write_text(json.dumps(rows, indent=1))
            told = {m: row[m]["score"] for m in ("nothing", "list", "random", "ours")}
            print(row["program"], row["seed"], "twin", row["twin"], told, row["ours"], flush=True)
    for method in ("nothing", "list", "random", "ours"):
        won = sum(row[method]["cured"] for row in rows)
        print(f"{method:8} {won} of {len(rows)} cured ({won / len(rows):.0%})")


if __name__ == "__main__":
    main()
