"""Runs made by hand for the reports: every number is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evenflow.schema import Channel, Event, Finding, Link, Parameter, Run, Severity, Site

EVIL = "</script><img src=x onerror=alert(1)>\"'&[red]\ud800\u2028"


def empty(**fields: Any) -> Run:
    """Nothing was seen."""
    parts: dict[str, Any] = {
        "name": "empty",
        "meta": {},
        "sites": (),
        "params": (),
        "steps": np.empty(0, np.int64),
        "columns": {},
        "curve_steps": np.empty(0, np.int64),
        "curve_loss": np.empty(0),
    }
    return Run(**{**parts, **fields})


def chain(
    depth: int = 6, steps: int = 40, name: str = "layers", meta: Mapping[str, Any] | None = None
) -> Run:
    """Linear layers whose gradient loses one decade each towards the data, from 1e-3."""
    sites = [Site(0, "Net", "", "input", "input", shape=(32, 8))]
    params, columns = [], {}
    at = np.arange(steps)
    for i in range(1, depth + 1):
        weight = f"Net.{name}.{i}.weight"
        sites.append(
            Site(i, "Net", f"{name}.{i}", "linear", "affine", shape=(32, 8), inputs=(i - 1,),
                 params=(weight,))
        )  # fmt: skip
        params.append(Parameter(i - 1, weight, (8, 8), optimizer=0))
        columns[Channel("site", i, "delta")] = 10.0 ** (-3 - (depth - i)) * (1 + at / steps)
        columns[Channel("site", i, "rms")] = np.full(steps, 1.0 * i)
        columns[Channel("site", i, "dead")] = np.full(steps, i / depth)
        columns[Channel("param", i - 1, "grad")] = np.full(steps, 0.1)
        columns[Channel("param", i - 1, "weight")] = np.full(steps, 2.0)
        columns[Channel("param", i - 1, "update")] = np.full(steps, 0.002)
    sites.append(Site(depth + 1, "", "", "cross_entropy", "loss", inputs=(depth,)))
    columns[Channel("site", depth + 1, "delta")] = np.ones(steps)
    return Run(
        name="chain",
        meta=meta or {"optimizers": [{"class": "SGD", "lr": 0.1}], "script": "train.py"},
        sites=tuple(sites),
        params=tuple(params),
        steps=at.astype(np.int64),
        columns=columns,
        curve_steps=at.astype(np.int64),
        curve_loss=2.0 / (1 + at),
    )


def finding(code: str = "EF101", severity: Severity = Severity.error, **fields: Any) -> Finding:
    """A finding with everything filled in."""
    parts: dict[str, Any] = {
        "code": code,
        "name": "vanishing-gradient",
        "severity": severity,
        "sites": (1, 2),
        "first_step": 3,
        "last_step": 39,
        "evidence": {"decades": -5.0, "layers": 2.0},
        "threshold": {"decades": -3.0},
        "cause": "depth-times-activation",
        "chain": (
            Link("cause", "depth-times-activation", 0, 1),
            Link("event", "EF101", 3, 2),
            Link("end", "frozen", 5, None),
        ),
        "message": "",
    }
    return Finding(**{**parts, **fields})


def evil() -> tuple[Run, list[Finding]]:
    """A run whose every text would like to be markup."""
    base = chain(3, 5, EVIL)
    run = Run(
        name=EVIL,
        meta={"script": EVIL, EVIL: {EVIL: [EVIL]}, "optimizers": [{"class": EVIL, EVIL: EVIL}]},
        sites=base.sites,
        params=(*base.params, Parameter(3, EVIL, (2,), trainable=False)),
        steps=base.steps,
        columns=base.columns,
        curve_steps=base.curve_steps,
        curve_loss=base.curve_loss,
        events=(Event(EVIL, 1, {EVIL: EVIL}),),
    )
    findings = [
        finding(
            code=code,
            name=EVIL,
            evidence={EVIL: 1.0},
            threshold={EVIL: 0.5},
            cause=EVIL,
            chain=(Link(EVIL, EVIL, 1, 1), Link("end", EVIL, 2, 2)),
            treatments=(EVIL,),
            message=message,
            params=(EVIL,),
        )
        for code, message in (("EF101", EVIL), (EVIL, ""))
    ]
    return run, findings
