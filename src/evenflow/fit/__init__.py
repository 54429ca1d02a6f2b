"""Feed-forward networks trained by back-propagation, as scikit-learn estimators.

    from evenflow.fit import NetworkClassifier
    NetworkClassifier(hidden=128, depth=40, random_state=0).fit(X, y)

Lazy: the names are fetched at first use, and only they import torch and scikit-learn (the extra
`evenflow[fit]`).
"""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from . import threads as threads
    from .estimators import NetworkClassifier as NetworkClassifier
    from .estimators import NetworkRegressor as NetworkRegressor
    from .fitting import fit_file as fit_file
    from .fitting import predict_file as predict_file
    from .keeping import Damaged as Damaged
    from .outcome import FitReport as FitReport

_HOME = {
    "estimators": "NetworkClassifier NetworkRegressor",
    "fitting": "fit_file predict_file",
    "keeping": "Damaged",
    "outcome": "FitReport",
}
__all__ = sorted(" ".join(_HOME.values()).split())  # noqa: PLE0605 - plain strings
__getattr__, __dir__ = lazily(
    __name__, _HOME, {"sklearn": "scikit-learn: pip install 'evenflow[fit]'"}
)
