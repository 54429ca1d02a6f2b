"""Evenflow: every layer learns.

Watches a network's back-propagation while it trains, says which layer stopped learning and why.
`import evenflow` is cheap and does not import torch; each public name is fetched at first use.
"""

import os as _os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .lazy import lazily as _lazily

if TYPE_CHECKING:
    from . import fit as fit
    from .diagnosis import diagnose as diagnose
    from .experiments import Checkup as Checkup
    from .experiments import checkup as checkup
    from .forecast import Forecast as Forecast
    from .forecast import preflight as preflight
    from .ledger import Ledger as Ledger
    from .ledger import explain as explain
    from .monitor import EvenflowWarning as EvenflowWarning
    from .monitor import NonFiniteError as NonFiniteError
    from .monitor import Observer as Observer
    from .monitor import SampledStep as SampledStep
    from .monitor import Watch as Watch
    from .monitor import watch as watch
    from .prescription import prescribe as prescribe
    from .schema import Finding as Finding
    from .schema import Run as Run
    from .schema import Severity as Severity
    from .schema import Site as Site
    from .schema import SiteKey as SiteKey
    from .schema import Treatment as Treatment
    from .schema import verdict as verdict
    from .store import StoreError as StoreError
    from .store import follow as follow
    from .store import load as load
    from .treatments import Undo as Undo
    from .treatments import treat_ as treat_
    from .trial import cure as cure

__version__ = "0.1.0"

_HOME = {
    "diagnosis": "diagnose",
    "experiments": "Checkup checkup",
    "forecast": "Forecast preflight",
    "ledger": "Ledger explain",
    "monitor": "EvenflowWarning NonFiniteError Observer SampledStep Watch watch",
    "prescription": "prescribe",
    "schema": "Finding Run Severity Site SiteKey Treatment verdict",
    "store": "StoreError follow load",
    "treatments": "Undo treat_",
    "trial": "cure",
}
__all__ = ["__version__", *sorted(" ".join(_HOME.values()).split())]  # noqa: PLE0604 - plain strings
_fetch, _names = _lazily(
    __name__, _HOME, {"torch": "PyTorch, which is not installed: pip install torch"}
)


def _trace_lines() -> None:
    """EVENFLOW_TRACE_LINES=1: note which lines make modules, before a watch begins."""
    if _os.environ.get("EVENFLOW_TRACE_LINES", "") not in ("", "0"):
        from .script import when_imported  # only who asks for it pays for its import

        when_imported("torch", lambda: import_module(".tape", __name__).trace_made())


_trace_lines()


def __getattr__(name: str) -> Any:
    # `fit` is a package: its own names are fetched at first use, too
    return import_module(".fit", __name__) if name == "fit" else _fetch(name)


def __dir__() -> list[str]:
    return sorted({*_names(), "fit"})
