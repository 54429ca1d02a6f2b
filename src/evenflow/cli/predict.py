"""`evenflow predict`: a model folder and a table to predictions."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def predict_table(model: Path, data: Path, output: Path) -> int:
    """0: predictions were written; 2: model or data make no sense, and nothing was written."""
    try:
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
        return _say(f"{error.name} is missing: pip install 'evenflow[fit]'")
    except ValueError as error:
        return _say(str(error))
    except OSError as error:
        return _say(f"cannot write {str(output)!r}: {error.strerror or error}.")
    print(f"wrote {output}: {len(result)} rows", file=sys.stderr)
    return 0


def _say(what: str) -> int:
    print(f"evenflow predict: {what}", file=sys.stderr)
    return 2
