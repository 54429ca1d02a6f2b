"""Whose a source file is, and what a person calls it."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache

#: Kinds of files: the user's, an installed package's, what no line is told of, autograd's engine,
#: and what was made of a string.
THEIRS, LIBRARY, NONE, ENGINE, STRING = range(5)
_STRINGS = ("<string>", "<doctest", "<timeit", "<magic")
#: Packages that run the script of another.
_LAUNCHERS = frozenset(
    {"IPython", "coverage", "debugpy", "evenflow", "ipykernel", "pytest", "torch"}
)
_SITE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_paths: dict[str, str] = {}  # by name, from the folder that was the current one when it was met


def path_of(file: str) -> str:
    """The whole path of what Python calls a file."""
    found = _paths.get(file)
    if found is None:
        found = _paths[file] = os.path.abspath(file)
    return found


def kind_of(file: str) -> int:
    """Whose the code of this file is."""
    if file.startswith("<"):
        if file.startswith(_STRINGS):
            return STRING
        return THEIRS if file == "<stdin>" or file.startswith("<ipython-input") else NONE
    path = os.path.normcase(path_of(file))
    if path.startswith(_main_package()):
        return THEIRS
    if path.endswith(os.path.join("torch", "autograd", "graph.py")):
        return ENGINE
    if path.startswith(_ours()):
        return NONE
    if any([site in path for site in _SITE]):
        return LIBRARY
    if path.startswith(_pythons()):
        return NONE
    return LIBRARY if _installed(path) else THEIRS


def _ours() -> tuple[str, ...]:
    """Folders of Evenflow and of torch."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in ("evenflow", "torch")]
    return tuple([_within(os.path.dirname(file)) for file in files if file])


@lru_cache(maxsize=1)
def _pythons() -> tuple[str, ...]:
    """Folders of the standard library, and of the commands that packages install."""
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "scripts")]
    user = sysconfig.get_preferred_scheme("user")
    if user in sysconfig.get_scheme_names():
        folders.append(sysconfig.get_path("scripts", user))
    return tuple([_within(folder) for folder in folders if folder])


def _installed(path: str) -> bool:
    """Does it lie where packages were installed to (`pip install --target`), and no script does?"""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    own = _within(os.path.dirname(path_of(main))) if main else ""
    folders = [_within(entry) for entry in sys.path if entry]
    return any([f != own and path.startswith(f) and _holds_packages(f) for f in folders])


@lru_cache(maxsize=256)
def _holds_packages(folder: str) -> bool:
    try:
        return any([name.endswith(".dist-info") for name in os.listdir(folder)])
    except OSError:
        return False


def _within(folder: str) -> str:
    return os.path.join(os.path.normcase(os.path.abspath(folder)), "")


def _main_package() -> tuple[str, ...]:
    """The folder of the package that is run by `python -m`, wherever it is installed."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    package, inside, _ = str(getattr(spec, "name", "")).partition(".")
    file = getattr(sys.modules.get(package), "__file__", None) if inside else None
    launches = package in sys.stdlib_module_names or package in _LAUNCHERS
    return () if not file or launches else (_within(os.path.dirname(file)),)


def home(folder: str) -> str:
    """The folder whose sources may be kept with a run: the script's own, or its package's; where
    there is no script, `folder`: that of the training."""
    package = _main_package()
    if package:
        return package[0]
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if file and kind_of(file) == THEIRS:
        return _within(os.path.dirname(path_of(file)))
    return _within(folder)


def inside(file: str, folder: str) -> bool:
    """Does a file lie in a folder, as `home` gives it, or is it a notebook's cell?"""
    return bool(cell(file)) or os.path.normcase(path_of(file)).startswith(folder)


@lru_cache(maxsize=4096)
def named(file: str, folder: str, library: bool) -> str:
    """As it is shown: a notebook's cell, a path below `folder`, or one inside the library."""
    found = cell(file)
    if found:
        return f"cell {found}"
    path = path_of(file)
    if library:
        tops = [_within(p) for p in sys.path if p and _holds_packages(_within(p))]
        for site in (*_SITE, *tops):
            path = path.rpartition(site)[2]
        return path.replace(os.sep, "/")
    below = path.startswith(os.path.join(folder, ""))
    return (os.path.relpath(path, folder) if below else path).replace(os.sep, "/")


def cell(file: str) -> str:
    """The number of the notebook's cell that a file name stands for; "" of other files."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get() if callable(get) else None
    name = getattr(getattr(shell, "compile", None), "format_code_name", None)
    if not callable(name):
        return ""
    found = name(file)  # ("Cell", "In[4]")
    if not found or found[0] != "Cell":
        return ""
    return str(found[1]).partition("[")[2].rstrip("]")
