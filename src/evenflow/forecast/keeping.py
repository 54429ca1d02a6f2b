"""A forecast as a run file, to be judged, reported and set beside a run later. No torch."""

from __future__ import annotations

import os

from ..store import Writer
from .record import Forecast


def save(forecast: Forecast, path: str | os.PathLike[str]) -> None:
    """Write `forecast.run` to a run file (an older run of that path is replaced).

    Readings are float32 there; δ beyond its range is kept as a logarithm in the file's meta.

    Raises:
        OSError: the path cannot be written.

    >>> import tempfile, torch, evenflow
    >>> from evenflow.forecast import save
    >>> folder = tempfile.TemporaryDirectory()
    >>> save(evenflow.preflight(torch.nn.Linear(2, 1), (8, 2)), f"{folder.name}/born.evenflow")
    >>> evenflow.load(f"{folder.name}/born.evenflow").source
    'predicted'
    >>> folder.cleanup()
    """
    run = forecast.run
    writer = Writer(path, {**run.meta, "ended": "closed", "name": run.name}, overwrite=True)
    writer.sites(run.sites)
    writer.params(run.params)
    writer.reading(forecast.reading)
    writer.findings(forecast.findings)
    writer.close()
    if writer.error is not None:
        raise OSError(f"{str(path)!r} was not written: {writer.error}")
