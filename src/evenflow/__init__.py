"""Evenflow: every layer learns.

Watches a network's back-propagation while it trains, says which layer stopped learning and why.
`import evenflow` is cheap and does not import torch; each public name is fetched at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import fit as fit
    from .cli.cure import cure as cure
    from .diagnosis import diagnose as diagnose
    from .forecast import Forecast as Forecast
    from .forecast.foresee import preflight as preflight
    from .ledger import Ledger as Ledger
    from .ledger.live import explain as explain
    from .monitor import EvenflowWarning as EvenflowWarning
    from .monitor import NonFiniteError as NonFiniteError
    from .monitor import Watch as Watch
    from .monitor import watch as watch
    from .prescription import prescribe as prescribe
    from .schema import Finding as Finding
    from .schema import Run as Run
    from .schema import Severity as Severity
    from .schema import Site as Site
    from .schema import Treatment as Treatment
    from .schema import verdict as verdict
    from .store import StoreError as StoreError
    from .store import load as load
    from .treatments import Undo as Undo
    from .treatments import treat_ as treat_

__version__ = "0.1.0"

_HOME = {
    "EvenflowWarning": "monitor",
    "Finding": "schema",
    "Forecast": "forecast",
    "Ledger": "ledger",
    "NonFiniteError": "monitor",
    "Run": "schema",
    "Severity": "schema",
    "Site": "schema",
    "StoreError": "store",
    "Treatment": "schema",
    "Undo": "treatments",
    "Watch": "monitor",
    "cure": "cli.cure",
    "diagnose": "diagnosis",
    "explain": "ledger.live",
    "load": "store",
    "preflight": "forecast.foresee",
    "prescribe": "prescription",
    "treat_": "treatments",
    "verdict": "schema",
    "watch": "monitor",
}
__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604 - plain strings


def __getattr__(name: str) -> Any:
    if name == "fit":  # the package itself: its own names are fetched at first use, too
        return import_module(".fit", __name__)
    if name not in _HOME:
        raise AttributeError(f"module 'evenflow' has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        said = f"evenflow.{name} needs PyTorch, which is not installed: pip install torch"
        raise ModuleNotFoundError(said, name="torch") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "fit"})
