"""What speaks against trusting a fit, and why it is so. N rows, C inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..lang import _, whole
from ..showing import listed, shown
from .encoding import Encoder
from .judging import Judged
from .table import CheckedTable

#: Better than guessing is a gain of so many standard errors on the rows held out.
SURE = 1.0
#: Of what there is to know, training knows so much more than new rows bear out, where it is judged
#: by heart (at most .27 on the calibration tables of benchmarks/fit_tables.py).
HEART = 0.4
#: Rows an input, neighbours' correlation, share of the deviation in 1 % of the rows, categories a
#: row, contradicting rows: what is named as a reason.
ROWS, ALIKE, HEAVY, OFTEN, AGAINST = 10, 0.3, 0.5, 0.1, 0.1


def doubts(
    found: CheckedTable, encoder: Encoder, train_N: Any, judged: Judged, before: Judged
) -> list[str]:
    """Warnings with the reason that was looked for; none where the fit can be trusted.

    `judged` is on rows held out, `before` on rows of training, which are among `train_N`.
    """
    gained = judged.guess_N - judged.loss_N
    error = gained.std() / np.sqrt(len(gained))
    guessing = not gained.mean() > SURE * error
    heart = before.known - judged.known > HEART
    if not guessing and not heart:
        return []
    if guessing:
        text = _("on rows held out it predicts no better than guessing ({name} {own}, {guess}).")
    else:
        text = _(
            "it knows its own rows by heart: {name} {own} on rows held out, {before} on those of "
            "training ({guess})."
        )
    classes = found.task == "classification"
    name = "log-loss" if classes else _("squared error")
    first = text.format(
        name=name,
        own=f"{judged.loss_N.mean():.3g}",
        before=f"{before.loss_N.mean():.3g}",
        guess=_("guessing has {loss}").format(loss=f"{judged.guess_N.mean():.3g}"),
    )
    if guessing and classes:
        first += _more_often(judged, found.y[train_N])
    why = reasons(found, encoder, train_N)
    if why:
        return [f"{first} {_('Perhaps because')} {'; '.join(why)}."]
    return [
        first + " "
        + _("Looked for and not found: too few rows, identifiers, rows that contradict each "
            "other, a few rows that weigh most, an order of the rows.")
    ]  # fmt: skip


def _more_often(judged: Judged, trained: Any) -> str:
    """A sentence if more is right than by the commonest class, though the shares are bad."""
    classes, counts = np.unique(trained, return_counts=True)
    common = float((judged.true == classes[counts.argmax()]).mean())
    right = float((judged.true == judged.predicted).mean())
    if right <= common:
        return ""
    text = _(" Its classes are right in {own} of the rows, the commonest class in {common}.")
    return text.format(own=f"{right:.1%}", common=f"{common:.1%}")


def reasons(found: CheckedTable, encoder: Encoder, train_N: Any) -> list[str]:
    """What may be the cause, the likeliest first."""
    X, y = found.X.iloc[train_N], found.y[train_N]
    rows = encoder.transform(X)[0]
    why = []
    if len(rows) < ROWS * rows.shape[1]:
        text = _("there are few rows: {rows} for {inputs} inputs")
        why.append(text.format(rows=whole(len(rows)), inputs=whole(rows.shape[1])))
    if many := _many(encoder, len(rows)):
        text = _("some columns are nearly identifiers: {names} (see --drop)")
        why.append(text.format(names=listed(many)))
    share = _contradicting(rows, y, found.task)
    if share > AGAINST:
        text = _("{share} of the rows have the same inputs as another and a different target")
        why.append(text.format(share=f"{share:.0%}"))
    if found.task == "regression":
        far = np.sort((y - y.mean()) ** 2)
        heavy = far[-max(1, len(far) // 100) :].sum() / max(far.sum(), 1e-300)
        if heavy > HEAVY:
            text = _("one row in a hundred holds {share} of the target's variance (predict its "
                     "logarithm)")  # fmt: skip
            why.append(text.format(share=f"{heavy:.0%}"))
    else:
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() < ROWS:
            text = _("class {name} has {count} rows")
            why.append(text.format(name=shown(classes[counts.argmin()]), count=counts.min()))
    alike = _neighbours(found.y, found.task)
    if alike > ALIKE:
        text = _(
            "the target follows the order of the rows (neighbours are alike: {r}), which no column "
            "that is used says: the rows may be in order of time"
        )
        why.append(text.format(r=f"{alike:.2f}"))
    return why


def _many(encoder: Encoder, rows: int) -> list[str]:
    """Categories with so many values, and identifiers that are used since the user said so."""
    found = [c.name for c in encoder.columns if c.used and c.asked and c.why.startswith("used")]
    if encoder.categories is not None:
        for column, known in zip(
            encoder.of("category"), encoder.categories.categories_, strict=True
        ):
            if len(known) > max(OFTEN * rows, 5) and column.name not in found:
                found.append(column.name)
    return found


def _contradicting(rows_NC: Any, y: Any, task: str) -> float:
    """The share of rows whose inputs stand with another target, too."""
    __, places = np.unique(rows_NC.astype(np.float32), axis=0, return_inverse=True)
    places = places.ravel()
    targets = np.unique(y, return_inverse=True)[1]
    pairs = np.unique(np.stack([places, targets], 1), axis=0)
    several = np.bincount(pairs[:, 0], minlength=places.max() + 1) > 1
    return float(several[places].mean())


def _neighbours(y: Any, task: str) -> float:
    """Correlation of each row's target with the next row's; of classes the largest of a mark's."""
    if len(y) < 50:
        return 0.0
    if task == "regression":
        marks = [y.astype(float)]
    else:
        marks = [(y == c).astype(float) for c in np.unique(y)[:20]]
    found = [
        float(np.corrcoef(m[:-1], m[1:])[0, 1])
        for m in marks
        if m[:-1].std() > 0 and m[1:].std() > 0
    ]
    return max(found, default=0.0)
