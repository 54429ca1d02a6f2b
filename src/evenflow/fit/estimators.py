"""The two estimators: a classifier and a regressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped, unused-ignore]  # loads its parts at first use
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from .base import NetworkEstimator
from .options import documented
from .targets import Array, Classes, Numbers, Targets, classes, numbers


@documented()
class NetworkClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A feed-forward network that tells classes apart, trained by back-propagation.

    y may hold one column of classes, several columns of classes (multi-output), or 0/1 labels
    (multi-label). The loss is the mean cross-entropy, of labels and columns summed.

    Attributes:
        classes_: the classes; for several columns a list of arrays.
        fit_report_: a `FitReport`: curves, what stopped it, findings, what it gave itself.
        network_: the trained `torch.nn.Sequential`; scaled rows in, scores out.
        n_iter_: epochs run.

    >>> import numpy as np
    >>> from evenflow.fit import NetworkClassifier
    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> model = NetworkClassifier(hidden=8, epochs=30, random_state=0).fit(X, X[:, 0] > 0)
    >>> model.predict([[-0.9], [0.9]])
    array([False,  True])
    """

    def _read(self, X: object, y: object, first: bool) -> tuple[Array, Array]:
        x, y = validate_data(
            self, X, y, reset=first, dtype=np.float64, multi_output=True, y_numeric=False
        )
        check_classification_targets(y)
        y = np.asarray(y)
        return x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y

    def _targets(self, y: Array, told: object) -> Targets:
        found = classes(y, type_of_target(y, input_name="y"), told)
        lone = found.kind == "one"
        if found.kind == "labels":
            self.classes_: Any = np.arange(len(found.classes))
        else:
            self.classes_ = found.classes[0] if lone else list(found.classes)
        return found

    def _strata(self, t: Array) -> Array | None:
        return t if t.ndim == 1 else None

    def partial_fit(
        self, X: object, y: object, classes: object = None, sample_weight: object = None
    ) -> Any:
        """One epoch over these rows; the first call settles scaling, classes and network.

        Args:
            classes: all classes there will be, at the first call (a list of arrays for several
                columns); those in y if left out.
        """
        return self._partial(X, y, sample_weight, classes)

    def _heads(self, X: object) -> tuple[Classes, list[Array]]:
        """The classes, and the scores of each column's, [N, K] each."""
        z, known = self._scores(X), self.targets_
        assert isinstance(known, Classes)
        return known, np.split(z, np.cumsum(known.sizes)[:-1], axis=1)

    def predict(self, X: object) -> Array:
        """The likeliest class of each row: [N], or [N, H]."""
        known, parts = self._heads(X)
        if known.kind == "labels":
            return (np.hstack(parts) > 0).astype(np.int64)
        picked = [c[p.argmax(1)] for c, p in zip(known.classes, parts, strict=True)]
        return picked[0] if known.kind == "one" else np.stack(picked, 1)

    def predict_proba(self, X: object) -> Array | list[Array]:
        """Probabilities: [N, K] of one column, a list of such for several, [N, H] of labels."""
        known, parts = self._heads(X)
        if known.kind == "labels":
            return np.asarray(scipy.special.expit(np.hstack(parts)))
        shares = [np.asarray(scipy.special.softmax(part, axis=1)) for part in parts]
        return shares[0] if known.kind == "one" else shares

    def predict_log_proba(self, X: object) -> Array | list[Array]:
        """Logarithms of `predict_proba`, -inf where it is 0."""
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(part) for part in p] if isinstance(p, list) else np.log(p)

    def decision_function(self, X: object) -> Array:
        """Scores before the softmax [N, O]; of two classes, the second's less the first's [N]."""
        known, parts = self._heads(X)
        z = np.hstack(parts)
        return z[:, 1] - z[:, 0] if known.kind == "one" and z.shape[1] == 2 else z

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


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
