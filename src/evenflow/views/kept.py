"""What a file of its own keeps of runs, so that its views need no server."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ledger import from_run
from ..report import finite
from ..schema import Finding, Run
from .answers import Grid, at_step, curves, grid, pictures, scale_of, site, summary
from .following import Followed
from .pyramid import Range
from .words import words

#: Bytes that pictures, layers and ledgers may take, all runs together; columns of a picture at
#: least, and pictures that are kept where there is room for few.
PICTURED, LAYERS, LEDGERS = 700_000, 250_000, 150_000
_NARROW, _TELLING = 32, 5
#: Points of a layer's reading; layers and ways from the loss that are kept of one run.
_POINTS, _LAYERS, _WAYS = 120, 60, 8
#: Points of a curve; findings that are marks in it.
_CURVE, _MARKS = 1_600, 100


def packed(told: dict[str, Any]) -> str:
    """As text that has no markup in it."""
    text = json.dumps(told, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def kept(
    runs: Mapping[str, tuple[Run, Sequence[Finding]]], beside: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Words and answers, by run; several runs have each picture on one scale."""
    followed = {name: Followed.of(run) for name, (run, _) in runs.items()}
    scales = _scales(list(followed.values())) if len(runs) > 1 else {}
    told = {
        name: _kept(followed[name], run, findings, scales, len(runs)) | {"beside": list(beside)}
        for name, (run, findings) in runs.items()
    }
    return {"words": words(), "runs": told}


def _scales(runs: Sequence[Followed]) -> dict[str, Range]:
    """Of each picture that all runs have, what its colours stand for in all of them."""
    out = {}
    for name in pictures(runs[0]):
        if all(name in pictures(run) for run in runs):
            found = [scale_of(run, name) for run in runs]
            low, high = min(f.low for f in found), max(f.high for f in found)
            out[name] = Range(low, high, found[0].log)
    return out


def _kept(
    seen: Followed, run: Run, findings: Sequence[Finding], scales: Mapping[str, Range], share: int
) -> dict[str, Any]:
    return {
        # what was found and the script's lines stand in the report's own text
        "summary": {**summary(seen), "events": [], "meta": {}, "source": {}},
        "findings": {"findings": [_mark(f) for f in findings[:_MARKS]]},
        "curves": curves(seen, _CURVE),
        "step": at_step(seen, len(seen.steps) - 1, pictures(seen)) if seen.steps else None,
        "sites": _layers(seen, findings, LAYERS // share),
        "ledgers": _ledgers(run, findings, LEDGERS // share),
        "grids": _pictures(seen, scales, PICTURED // share),
    }


def _mark(finding: Finding) -> dict[str, Any]:
    told = finding.as_dict()
    return {key: told[key] for key in ("code", "severity", "first_step")}


def _pictures(run: Followed, scales: Mapping[str, Range], most: int) -> dict[str, str]:
    """Each picture, packed, as fine as all of them fit."""
    found = {name: grid(run, name, 0, 2**62, scales.get(name)) for name in pictures(run)}
    while True:
        out = {name: _packed(each) for name, each in found.items()}
        widest = max((each.head["columns"] for each in found.values()), default=0)
        if sum(map(len, out.values())) <= most or widest <= 1:
            return out
        if widest <= _NARROW and len(found) > _TELLING:
            found = dict(list(found.items())[:_TELLING])
        else:
            found = {name: each.joined(1) for name, each in found.items()}


def _packed(each: Grid) -> str:
    whole = Grid({**each.head, "kept": True}, each.planes)
    return base64.b64encode(zlib.compress(whole.packed(), 9)).decode()


def _layers(run: Followed, findings: Sequence[Finding], most: int) -> dict[str, Any]:
    """Readings of the layers that findings name, then of others, evenly, as far as there is room;
    of the rest the page takes what its pictures show."""
    named = list(dict.fromkeys(i for f in findings for i in f.sites if i < len(run.sites)))
    even = np.linspace(0, len(run.sites) - 1, min(_LAYERS, len(run.sites))).round().astype(int)
    out: dict[str, Any] = {}
    for id in dict.fromkeys([*named[: _LAYERS // 2], *even.tolist()]):
        told = site(run, id, _POINTS)
        for reading in told["readings"]:
            reading["points"][1] = [
                v if v is None else float(f"{v:.4g}") for v in reading["points"][1]
            ]
        most -= len(str(told))
        if most < 0:
            break
        out[str(id)] = told
    return out


def _ledgers(run: Run, findings: Sequence[Finding], most: int) -> dict[str, Any]:
    """The way from the loss to layers that findings name, and to the one nearest the data."""
    named = dict.fromkeys(run.sites[i].name for f in findings for i in f.sites[:2])
    out: dict[str, Any] = {}
    for name in [None, *list(named)[:_WAYS]]:
        try:
            ledger = from_run(run, name)
        except ValueError:  # no error reached it
            continue
        told = finite(ledger.as_dict())
        most -= len(str(told))
        if most < 0:
            break
        out[name or ledger.site] = told
    return out
