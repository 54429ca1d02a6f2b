"""The regressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from .base import NetworkEstimator
from .options import documented
from .targets import Array, Numbers, Targets, numbers

_TARGET = """        target_scale: as `scale`; "auto" is "standard", and nothing is bent.
"""


@documented(_TARGET)
class NetworkRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A feed-forward network that predicts numbers, trained by back-propagation.

    y may hold several columns. The loss is the mean over rows of ½ |z - t|², targets scaled.

    Attributes:
        fit_report_: a `FitReport`: curves, what stopped it, findings, what it gave itself.
        network_: the trained `torch.nn.Sequential`; scaled rows in, scaled numbers out.
        n_iter_: epochs run.

    >>> import numpy as np
    >>> from evenflow.fit import NetworkRegressor
    >>> X = np.linspace(-1, 1, 400)[:, None]
    >>> model = NetworkRegressor(hidden=8, epochs=30, random_state=0).fit(X, 2 * X[:, 0])
    >>> model.score(X, 2 * X[:, 0]) > 0.9
    True
    """

    def __init__(
        self,
        *,
        hidden: object = "auto",
        depth: int | None = None,
        activation: str | Sequence[str] = "auto",
        init: str | Callable[..., object] = "auto",
        norm: str = "none",
        residual: str = "auto",
        dropout: float = 0.0,
        alpha_dropout: bool = False,
        loss: str | Callable[..., Any] = "auto",
        optimizer: str = "auto",
        learning_rate: float | str = "auto",
        schedule: str | Callable[[int], float] = "auto",
        warmup: float | str = "auto",
        momentum: float = 0.9,
        l1: float = 0.0,
        l2: float | str = "auto",
        clip: str = "auto",
        scale: str = "auto",
        target_scale: str = "auto",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        epochs: int | str = "auto",
        validation: float | str = "auto",
        patience: int | str | None = "auto",
        error_below: float | None = None,
        gradient_below: float | None = None,
        max_seconds: float | None = None,
        dtype: str = "float32",
        device: str = "cpu",
        random_state: Any = None,
        heal: bool = True,
        warm_start: bool = False,
        verbose: Any = False,
    ) -> None:
        self._keep(locals())

    target_scale: str

    def _read(self, X: object, y: object, first: bool) -> tuple[Array, Array]:
        x, y = validate_data(
            self, X, y, reset=first, dtype=np.float64, multi_output=True, y_numeric=True
        )
        return x, np.asarray(y, dtype=np.float64)

    def _targets(self, y: Array, told: object) -> Targets:
        return numbers(y, self.target_scale)

    def partial_fit(self, X: object, y: object, sample_weight: object = None) -> Any:
        """One epoch over these rows; the first call settles scaling and network."""
        return self._partial(X, y, sample_weight, None)

    def predict(self, X: object) -> Array:
        """Predicted numbers, [N] or [N, O] as y was."""
        z, known = self._scores(X), self.targets_
        assert isinstance(known, Numbers)
        y = known.scaled.undo(z)
        return y[:, 0] if known.flat else y
