"""The classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped, unused-ignore]  # loads its parts at first use
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from .base import NetworkEstimator
from .options import documented
from .targets import Array, Classes, Targets, classes


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
