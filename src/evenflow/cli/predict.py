"""`evenflow predict`: a model folder and a table to predictions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..lang import _, whole
from ..showing import shown
from . import writing
from .consoles import refuse
from .options import Force, output_option
from .speaking import Lang

#: Lines about columns that are printed.
LINES = 20


def predict(
    model: Annotated[Path, typer.Argument(help="A model folder of `evenflow fit`.")],
    data: Annotated[Path, typer.Argument(help="A table with the columns of training.")],
    output: Annotated[Path, output_option(help="Predictions: CSV or Parquet.")],
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Predict a table's target by a model of `evenflow fit`.

    What training never saw is counted and told. Exit code 0: predictions were written; 2: wrong
    usage; 3: the model folder is damaged.
    """
    try:
        from ..fit import Damaged, predict_file
    except ImportError as error:
        return _missing(error)
    try:
        writing.check(output, [data, *model.glob("*")], force)
        result, notes = predict_file(model, data)
        _write(result, output)
    except ImportError as error:
        return _missing(error)
    except Damaged as error:
        return refuse("predict", str(error), 3)
    except (ValueError, writing.NotWritten) as error:
        return refuse("predict", str(error))
    except OSError as error:
        text = _("cannot write {path}: {error}.")
        return refuse("predict", text.format(path=shown(output), error=error.strerror or error))
    for line in notes[:LINES]:
        print(line, file=sys.stderr)
    if len(notes) > LINES:
        text = _("... and so of {count} more columns.")
        print(text.format(count=whole(len(notes) - LINES)), file=sys.stderr)
    text = _("wrote {file}: {count} rows")
    print(text.format(file=shown(output)[1:-1], count=whole(len(result))), file=sys.stderr)
    return 0


def _write(table: Any, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with writing.replacing(output) as name:
        if output.suffix.lower() in (".parquet", ".pq"):
            table.to_parquet(name, index=False)
        else:
            table.to_csv(name, index=False)


def _missing(error: ImportError) -> int:
    text = _("{module} is missing: pip install 'evenflow[fit]'")
    return refuse("predict", text.format(module=error.name))
