"""Feed-forward networks trained by back-propagation, as scikit-learn estimators.

    from evenflow.fit import NetworkClassifier
    NetworkClassifier(hidden=128, depth=40, random_state=0).fit(X, y)

Lazy: the names are fetched at first use, and only they import torch and scikit-learn (the extra
`evenflow[fit]`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifying import NetworkClassifier as NetworkClassifier
    from .fitting import fit_file as fit_file
    from .fitting import predict_file as predict_file
    from .keeping import Damaged as Damaged
    from .outcome import FitReport as FitReport
    from .regressing import NetworkRegressor as NetworkRegressor

_HOME = {
    "Damaged": "keeping",
    "FitReport": "outcome",
    "NetworkClassifier": "classifying",
    "NetworkRegressor": "regressing",
    "fit_file": "fitting",
    "predict_file": "fitting",
}
__all__ = sorted(_HOME)  # noqa: PLE0605 - plain strings


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evenflow.fit' has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise ImportError(
            f"evenflow.fit.{name} needs scikit-learn: pip install 'evenflow[fit]'", name=error.name
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
