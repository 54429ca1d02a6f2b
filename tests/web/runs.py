"""Run files for the page's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evenflow.schema import Channel, Parameter, Reading, Site, Where
from evenflow.store import Writer

EVIL = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"


def channels(sites: int, *metrics: str) -> tuple[Channel, ...]:
    """Of so many sites."""
    return tuple(Channel("site", i, m) for m in metrics for i in range(1, sites + 1))


def written(
    path: Path, sites: int = 4, steps: int = 20, name: str = "layers", fall: float = 0.1
) -> Path:
    """A chain whose gradient falls by `fall` decades a layer from the head to the data."""
    with_open = writer(path, sites, name)
    layout = (
        *channels(sites, "delta", "rms"),
        Channel("param", 0, "update"),
        Channel("param", 0, "weight"),
        *(Channel("step", 0, m) for m in ("lr", "grad_norm")),
    )
    for step in range(steps):
        with_open.reading(reading(layout, step, sites, fall))
    with_open.curve(list(range(steps)), [2.0 / (1 + s) for s in range(steps)])
    with_open.meta(ended="closed")
    with_open.close()
    return path


def writer(path: Path, sites: int = 4, name: str = "layers") -> Writer:
    """An open run, with sites and no reading yet."""
    made = Writer(path, {"script": f"{name}.py", "started": 1.0, "every": 1, "folder": "/x"})
    chain = [Site(0, "Net", "", "input", "input")]
    for i in range(1, sites + 1):
        line = (Where("made", f"{name}.py", i, "f", column=1, end=4),)
        chain.append(
            Site(i, "Net", f"{name}.{i // 10}.{i}", "linear", "affine", shape=(8, 8),
                 inputs=(i - 1,), params=("Net.w",) if i == 1 else (), made=line)
        )  # fmt: skip
    made.sites(chain)
    made.params([Parameter(0, "Net.w", (8, 8), optimizer=0)])
    return made


def reading(layout: tuple[Channel, ...], step: int, sites: int, fall: float = 0.1) -> Reading:
    """One sampled step."""
    values = {"delta": 1e-3, "rms": 1.0, "update": 1e-3, "weight": 1.0, "lr": 0.1, "grad_norm": 1.0}
    out = [
        values[c.metric] * (10 ** (-fall * (sites - c.id)) if c.metric == "delta" else 1.0)
        for c in layout
    ]
    return Reading(step, layout, np.array(out))
