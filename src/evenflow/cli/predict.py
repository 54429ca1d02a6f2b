"""`evenflow predict`: a model folder and a table to predictions."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from ..lang import _, whole
from ..showing import visible
from . import writing


def predict_table(model: Path, data: Path, output: Path, force: bool = False) -> int:
    """0: predictions were written; 2: model or data make no sense, and nothing was written."""
    try:
        writing.check(output, [data, *model.glob("*")], force)
        from ..fit import table
        from ..fit.keeping import load

        network, made, facts = load(model)
        frame = table.read(data)
        rows = table.as_numbers(made, frame)
        result = frame[[]].copy()
        result[facts["target"]] = network.predict(rows)
        if facts["task"] == "classification":
            for label, share in zip(network.classes_, network.predict_proba(rows).T, strict=True):
                result[f"p({label})"] = share
        output.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}-")
        os.close(handle)
        try:
            if output.suffix.lower() in (".parquet", ".pq"):
                result.to_parquet(name, index=False)
            else:
                result.to_csv(name, index=False)
            os.chmod(name, 0o644)
            os.replace(name, output)
        except BaseException:
            os.unlink(name)
            raise
    except ImportError as error:
        said = _("{module} is missing: pip install 'evenflow[fit]'")
        return _say(said.format(module=error.name))
    except (ValueError, writing.NotWritten) as error:
        return _say(str(error))
    except OSError as error:
        said = _("cannot write {path!r}: {error}.")
        return _say(said.format(path=str(output), error=error.strerror or error))
    said = _("wrote {file}: {count} rows")
    print(said.format(file=output, count=whole(len(result))), file=sys.stderr)
    return 0


def _say(what: str) -> int:
    print(f"evenflow predict: {visible(what)}", file=sys.stderr)
    return 2
