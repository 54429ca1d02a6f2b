"""A run as it grows, as server-sent events: each tells what came since its cursor."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from ..report import finite
from ..store import StoreError
from ..views import Followed, Range, encode, spoilt

#: Seconds between two looks at the file; and without news until a comment keeps the line open.
PACE, QUIET = 0.5, 15.0
#: Columns and points of a curve that one event tells at most; more are one that says "again".
_MOST = 512


async def events(
    run: Followed, picture: str, scale: Range | None, after: str
) -> AsyncIterator[str]:
    """Events, each with the cursor ("turn.columns.points") that a browser sends back as
    `Last-Event-ID` when it asks again.

    Args:
        picture: what columns are told of; "" = none.
        scale: what their codes stand for.
        after: the cursor; "" = what comes from now on.
    """
    turn, columns, points = _cursor(after, run)
    quiet = 0.0
    while True:
        try:
            await run_in_threadpool(run.look)
        except (StoreError, OSError) as error:
            yield _event("gone", {"why": str(error)[:300]}, after)
            return
        if run.turn != turn or len(run.steps) - columns > _MOST or len(run.curve_steps) < points:
            turn, columns, points = run.turn, len(run.steps), len(run.curve_steps)
            after = f"{turn}.{columns}.{points}"
            yield _event("again", {}, after)
        elif len(run.steps) > columns or len(run.curve_steps) > points:
            told = _news(run, picture, scale, columns, points)
            columns, points = len(run.steps), len(run.curve_steps)
            after = f"{turn}.{columns}.{points}"
            yield _event("news", told, after)
            quiet = 0.0
        elif quiet >= QUIET:
            yield ": still there\n\n"
            quiet = 0.0
        await asyncio.sleep(PACE)
        quiet += PACE


def _cursor(after: str, run: Followed) -> tuple[int, int, int]:
    try:
        turn, columns, points = map(int, after.split("."))
    except ValueError:
        return run.turn, len(run.steps), len(run.curve_steps)
    return turn, columns, points


def _news(
    run: Followed, picture: str, scale: Range | None, columns: int, points: int
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "start": columns,
        "steps": run.steps[columns:],
        "sites": len(run.sites),
        "ended": str(run.meta.get("ended", "")),
    }
    new = slice(max(points, len(run.curve_steps) - _MOST), None)
    told["loss"] = [run.curve_steps[new], _plain(run.curve_loss[new])]
    for metric in ("lr", "grad_norm"):
        found = run.values("step", metric)
        if len(found):
            told[metric] = _plain(found[0, columns:].tolist())
    if picture and scale is not None:
        codes = encode(spoilt(run, picture, slice(columns, None)), scale)
        told["codes"] = base64.b64encode(np.ascontiguousarray(codes.T).tobytes()).decode("ascii")
    return finite(told)  # type: ignore[no-any-return]


def _plain(numbers: list[float]) -> list[float | None]:
    return [n if np.isfinite(n) else None for n in numbers]


def _event(kind: str, told: dict[str, Any], cursor: str) -> str:
    text = json.dumps(told, separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\nid: {cursor}\ndata: {text}\n\n"
