"""Options that need reading: cadence, budget, codes, and `[tool.evenflow]` of pyproject.toml."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NewType

import typer

from ..lang import _, language
from ..nearby import did_you_mean


def variable_option(name: str, *, help: str, **more: Any) -> Any:
    """`--NAME`, which EVENFLOW_NAME sets, too."""
    variable = f"EVENFLOW_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", envvar=variable, help=help, **more)


Every = NewType("Every", object)  # "auto" or a whole number
#: What follows a script, and how it is named; of all commands that run one.
Arguments = Annotated[
    list[str] | None, typer.Argument(show_default=False, help="The script's own.")
]
Module = Annotated[
    bool, typer.Option("-m", "--module", help="SCRIPT is a module's name, as in `python -m`.")
]
#: Of all commands that read a run.
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="A run file, or a folder of them: the newest. Default: the newest in evenflow-runs.",
    ),
]
Select = Annotated[
    list[str] | None,
    variable_option(
        "select", help="Judge by these codes or prefixes only (EF1,EF203).", metavar="CODES"
    ),
]
Verbose = Annotated[
    bool, variable_option("verbose", help="Each finding with all its evidence, lines and advice.")
]
Ignore = Annotated[
    list[str] | None,
    variable_option("ignore", help="Leave these codes or prefixes out.", metavar="CODES"),
]
#: Of all commands that write a file.
Force = Annotated[
    bool,
    typer.Option("--force", help="Write over a file that is there and is no report of ours."),
]
_CODE = re.compile(r"EF\d{0,3}", re.IGNORECASE)


def output_option(help: str) -> Any:
    """`-o FILE`, the file that a command writes."""
    return typer.Option("-o", "--output", metavar="FILE", help=help)


def parse_every(text: object) -> str | int:
    """`auto`, or every how many steps."""
    text = str(text).strip().lower()
    if text == "auto":
        return text
    if not text.isdecimal():
        raise typer.BadParameter(
            _("{text!r} is neither auto nor a whole number of steps.").format(text=text)
        )
    return int(text)


def parse_budget(text: object) -> float:
    """A share of the training time, above 0 and at most 1."""
    try:
        share = float(str(text))
    except ValueError:
        share = float("nan")
    if not 0 < share <= 1:
        said = _("{text!r} is not a share between 0 and 1; 0.01 is one per cent.")
        raise typer.BadParameter(said.format(text=text))
    return share


def codes(given: Sequence[str] | None, option: str) -> tuple[str, ...]:
    """The codes of one option, else those of the nearest pyproject.toml; "EF1,EF203" is two."""
    return _split(given, option) if given else _configured(option.lstrip("-"))


def check_known(prefixes: Sequence[str]) -> None:
    """Refuse codes that no rule has before a long training starts."""
    imports = (
        "from evenflow.faults import REGISTRY; from evenflow.faults.select import select_codes"
    )
    check = "select_codes(tuple(REGISTRY), sys.argv[1:])"
    if prefixes and (why := refusal(imports, check, *prefixes)):
        raise typer.BadParameter(why)


def check_heal(text: str) -> str:
    """What `--heal` may do, once it has been found to make sense."""
    check = "from evenflow.schema import allowed", "allowed(sys.argv[1])"
    if text not in ("", "all") and (why := refusal(*check, text)):
        raise typer.BadParameter(why)
    return text


def spelled_out(command: Any, argv: Sequence[str]) -> list[str]:
    """`evenflow run --heal SCRIPT` as `--heal=all`: SCRIPT is not the option's value."""
    words, out = list(argv), []
    if not words or words[0] != "run":
        return words
    run = command.commands["run"]
    out.append(words.pop(0))
    while words and words[0].startswith("-") and words[0] != "--":
        word = words.pop(0)
        out.append("--heal=all" if word == "--heal" else word)
        name, equals, _value = word.partition("=")
        flag = name == "--heal" or any(
            name in p.opts and getattr(p, "is_flag", False) for p in run.params
        )
        if not flag and not equals and words:
            out.append(words.pop(0))
    return out + words


def refusal(imports: str, check: str, *given: str) -> str:
    """What a check of ours (Python that may raise ValueError) says of `given`, which it finds in
    `sys.argv[1:]`; "" if nothing.

    In a process of its own: the registries import numpy, which is the script's to import first.
    """
    code = f"import sys\n{imports}\ntry: {check}\nexcept ValueError as e: sys.exit(str(e))"
    flags = ["-P"] if sys.version_info >= (3, 11) else []
    done = subprocess.run(
        [sys.executable, *flags, "-c", code, *given],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"EVENFLOW_LANG": language(), "PYTHONIOENCODING": "utf-8"},
    )
    failed = done.returncode and "Traceback" not in done.stderr
    return done.stderr.strip() if failed else ""


def _split(given: Sequence[str], where: str) -> tuple[str, ...]:
    found = [code for text in given for code in re.split(r"[,\s]+", text.strip()) if code]
    for code in found:
        if not _CODE.fullmatch(code):
            said = _(
                "{where}: {code!r} is not a code or the beginning of one, such as EF1 or EF203; "
                "`evenflow rules` lists them."
            )
            raise typer.BadParameter(said.format(where=where, code=code))
    return tuple(code.upper() for code in found)


def _configured(key: str) -> tuple[str, ...]:
    file = next(
        (p for d in (Path.cwd(), *Path.cwd().parents) if (p := d / "pyproject.toml").is_file()),
        None,
    )
    if file is None:
        return ()
    table = _table(file)
    where = f"{file}: [tool.evenflow] {key}"
    for unknown in table.keys() - {"select", "ignore"}:
        near = did_you_mean(unknown, ("select", "ignore"))
        said = _("{file}: [tool.evenflow] has an unknown key {key!r}: {hint}")
        hint = near or _("it may hold select and ignore.")
        raise typer.BadParameter(said.format(file=file, key=unknown, hint=hint))
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        said = _("{where} is {value!r}; it must be a list such as ['EF1'].")
        raise typer.BadParameter(said.format(where=where, value=value))
    return _split(value, where)


def _table(file: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tool = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError, RecursionError):
        return {}  # a pyproject.toml that is broken is not ours to complain of
    table = tool.get("evenflow", {}) if isinstance(tool, dict) else {}
    return table if isinstance(table, dict) else {}
