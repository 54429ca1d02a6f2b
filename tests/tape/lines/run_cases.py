"""Run many programs one after the other, each in a fork of this process, which has torch already.

`run_cases.py TABLE`: a JSON list of {folder, run, options, env}; each leaves `run.evenflow` and
`said.txt` in its folder.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

import evenflow
import evenflow.cli.after_run
import evenflow.trial
from evenflow.cli import main

evenflow.watch, evenflow.diagnose  # noqa: B018 - imported once for all
torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # brings torch._dynamo, a second


def work(case: dict[str, Any]) -> None:
    here = Path(case["folder"])
    os.chdir(here / case["options"].get("from", "."))
    os.environ.update(case["env"])
    sys.path[0] = ""
    sys.path += [str(here / case["options"]["path"])] if "path" in case["options"] else []
    how, *words = case["run"]
    file = str(here / "run.evenflow")
    if how == "evenflow":
        rest = ["run", "--quiet", "--every", "1", "--out", file, *case["options"].get("run", ())]
        sys.exit(main([*rest, *words]))
    os.environ["EVENFLOW_TEST_FILE"] = file
    sys.path[0] = os.getcwd()
    if how == "python":
        sys.argv[:] = words
        runpy.run_path(words[0], run_name="__main__")
    elif how == "pytest":
        sys.argv[:] = ["pytest", "-q", "-p", "no:cacheprovider", *words]
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    else:
        cells(words)


def cells(files: list[str]) -> None:
    """Each file is a cell of a notebook."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    for file in files:
        shell.run_cell(Path(file).read_text(encoding="utf-8"), store_history=True).raise_error()


def begin(case: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(Path(case["folder"], "said.txt"), "wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    code = 0
    try:
        work(case)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    print(json.dumps([begin(case) for case in json.loads(Path(sys.argv[1]).read_text())]))
