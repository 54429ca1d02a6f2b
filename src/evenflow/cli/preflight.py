"""`evenflow preflight`: build a model, foresee, and say whether it will learn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..lang import _
from . import writing
from .consoles import as_json, next_command, refuse, stderr, stdout, wrote
from .factory import NoFactory, find_factory, make
from .options import Force
from .speaking import Lang

if TYPE_CHECKING:
    from ..forecast import Forecast


Factory = Annotated[
    str,
    typer.Argument(
        metavar="PKG.MOD:FACTORY",
        help="What makes the model: a function without arguments, as in models:make_net.",
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=][DTYPE:]SIZES[<BOUND]",
        help="An input, batch first: 64,3,32,32 or ids=int:8,128<32000. Repeat for several.",
    ),
]
Static = Annotated[
    bool,
    typer.Option(
        "--static",
        help="By theory, for models too large to build. A few samples of a few tokens do.",
    ),
]
PatchFile = Annotated[
    Path | None,
    typer.Option(
        "--patch",
        metavar="FILE",
        help="Write what is advised as a diff of the model's source, in plain PyTorch.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Keep the forecast, for `evenflow check RUN --forecast FILE`."
    ),
]


def preflight(
    factory: Factory,
    inputs: Inputs = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="DTYPE", help="Turn the model to it first (bfloat16).")
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Check that it compiles and computes the same.")
    ] = False,
    static: Static = False,
    json: Annotated[bool, typer.Option("--json", help="The forecast as JSON on stdout.")] = False,
    out: Out = None,
    patch: PatchFile = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of weights, inputs and all that is random.")
    ] = 0,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Say before step 1 whether a model will learn as it stands.

    Exit code 0: nothing is an error; 1: it will not learn; 2: wrong usage.
    """
    lines: Any = None
    try:
        if out is not None:
            _check_place(out, force)
        if patch is not None:
            lines = _lines(patch, static, force)
        with redirect_stdout(sys.stderr):  # what the user's code prints is no part of the JSON
            how = (dtype, compile, static, seed)
            model, forecast = _traced(_forecast, factory, inputs or (), *how)
        if out is not None:
            from ..forecast import save

            save(forecast, out)
    except (NoFactory, ValueError, writing.NotWritten) as error:
        return refuse("preflight", error)
    except OSError as error:
        said = _("cannot write {path!r}: {error}.")
        return refuse("preflight", said.format(path=str(out), error=error.strerror or error))
    finally:
        if lines is not None:
            lines.unwatch()
    if json:
        print(as_json(forecast.to_json()))
    else:
        _show(forecast, out)
    code = int(forecast.verdict == "sick")
    if patch is None:
        return code
    from . import advised

    asked = advised.AskedForecast(factory, tuple(inputs or ()), seed, dtype or "")
    return advised.patch(asked, model, forecast, lines, patch, force, json) or code


def _lines(patch: Path, static: bool, force: bool) -> Any:
    """What notes the lines that make modules, watching; ValueError where no patch can come."""
    if static:
        raise ValueError(_("--static builds no weights: leave out --patch"))
    from . import patches

    writing.check(patch, force=force)
    if missing := patches.needed():
        raise ValueError(missing)
    from ..treatments import MadeLines

    lines = MadeLines(str(Path.cwd()))
    lines.watch()
    return lines


def _check_place(out: Path, force: bool) -> None:
    """An older forecast may be written over, a training's run never."""
    from ..store import StoreError, is_run, load

    if out.is_file() and out.stat().st_size and is_run(out):
        try:
            known = load(out, partial=True).source == "predicted"
        except StoreError:
            known = force
        if known:
            return
    writing.check(out, force=force)


def _traced(
    forecast: Callable[..., tuple[Any, Forecast]], named: str, inputs: Sequence[str], *how: Any
) -> tuple[Any, Forecast]:
    """While lines that make modules are noted."""
    if not inputs:  # before torch is fetched
        raise ValueError(_("give the model's --input, as in --input 64,3,32,32"))
    from ..tape import trace_made

    stop = trace_made()
    try:
        return forecast(named, inputs, *how)
    finally:
        stop()


def _forecast(
    named: str, inputs: Sequence[str], dtype: str | None, compiled: bool, static: bool, seed: int
) -> tuple[Any, Forecast]:
    """The model (None where none is built), and what is foreseen of it."""
    from ..forecast import dtype_named, parse_input

    wanted = [parse_input(text) for text in inputs]
    kind = None if dtype is None else dtype_named(dtype)
    factory = find_factory(named)
    import torch

    torch.manual_seed(seed)
    if static:
        if kind is not None or compiled:
            raise ValueError(_("--static builds no weights: leave out --dtype and --compile"))
        from torch import nn

        from ..forecast import forecast_static

        if isinstance(factory, nn.Module) or not callable(factory):
            said = _("--static calls {name!r} itself, so it must be a function or class.")
            raise NoFactory(said.format(name=named))
        return None, forecast_static(
            factory, tuple(wanted), seed=seed, name=named.rpartition(":")[2]
        )
    model = make(factory, named)
    if kind is not None:
        model = model.to(kind)
    from ..forecast import compiled_difference, preflight

    if compiled:  # what is foreseen is the eager network's profile
        gap = compiled_difference(model, tuple(wanted), seed)
        said = _("compiled and eager outputs differ by {gap}.").format(gap=f"{gap:.1g}")
        print(f"evenflow preflight: {said}", file=sys.stderr)
    return model, preflight(model, tuple(wanted), seed=seed)


def _show(forecast: Forecast, out: Path | None) -> None:
    from rich.text import Text

    from ..forecast import lines
    from ..report import print_wrapped, writable

    console = stdout()
    for said, style in lines(forecast):
        body = Text(writable(said.lstrip(), console.encoding), style)
        print_wrapped(console, body, len(said) - len(said.lstrip()), whole="  " in said.strip())
    if out is not None:
        wrote(out)
        next_command(stderr(), "check RUN --forecast", out, Path.cwd())
