"""Files as they come: line ends, encodings, tabs, size, syntax; one clear message, or a patch that
leaves all that as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evenflow.patching import (
    CannotPatch,
    KnownTraining,
    Patch,
    decoded,
    diff_of,
    patched,
    sources_of,
)

COURSE = "lr=x0.1; l2=0.1; clip=norm:1.0"
BODY = """import torch

# Größe und Maß
net = torch.nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.5)
for _ in range(3):
    if True:
        opt.zero_grad()
        net(torch.ones(4, 2)).sum().backward()
        opt.step()
"""


def of(raw: bytes, course: str = COURSE) -> Patch:
    return patched({"train.py": raw}, course, KnownTraining())


def applies(patch: Patch, folder: Path) -> None:
    """`git apply` makes of the old bytes just the new ones."""
    for name, raw in patch.before.items():
        (folder / name).write_bytes(raw)
    (folder / "fix.diff").write_bytes(patch.diff)
    command = ["git", "apply", "--whitespace=nowarn", "fix.diff"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    assert {n: (folder / n).read_bytes() for n in patch.after} == patch.after


def test_crlf_stays(tmp_path: Path) -> None:
    patch = of(BODY.replace("\n", "\r\n").encode())
    raw = patch.after["train.py"]
    assert raw.count(b"\r\n") == raw.count(b"\n") > BODY.count("\n")
    assert raw.replace(b"\r\n", b"\n") == of(BODY.encode()).after["train.py"]
    applies(patch, tmp_path)


def test_tabs_stay(tmp_path: Path) -> None:
    patch = of(BODY.replace("    ", "\t").encode())
    lines = patch.after["train.py"].decode().splitlines()
    assert not [line for line in lines if line.startswith(" ")]
    assert any(line.startswith("\t\t\tif p.grad") for line in lines)
    applies(patch, tmp_path)


def test_two_blanks_a_level_stay(tmp_path: Path) -> None:
    patch = of(BODY.replace("    ", "  ").encode())
    text = patch.after["train.py"].decode()
    assert "\n  with torch.no_grad():\n    for p in parameters:\n" in text
    assert "\n    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)\n    opt.step()\n" in text
    applies(patch, tmp_path)


def test_apostrophes_stay() -> None:
    body = BODY.replace("lr=0.5", "**{'lr': 0.5, 'momentum': 0.9}")
    text = of(body.encode(), "lr=x0.1").after["train.py"].decode()
    assert "group['lr'] *= 0.1" in text


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n"])
def test_the_end_stays(ending: str, tmp_path: Path) -> None:
    patch = of((BODY.rstrip("\n") + ending).encode())
    assert patch.after["train.py"].decode().endswith(f"opt.step(){ending}")
    applies(patch, tmp_path)


def test_a_schedule_after_a_last_line_without_an_end(tmp_path: Path) -> None:
    patch = of(BODY.rstrip("\n").encode(), "warmup=5")
    assert patch.after["train.py"].endswith(b"opt.step()\n        schedule.step()")
    applies(patch, tmp_path)


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    patch = of(b"\xef\xbb\xbf" + BODY.encode())
    assert patch.after["train.py"].startswith(b"\xef\xbb\xbfimport torch")
    applies(patch, tmp_path)


def test_a_cookie_is_kept_to(tmp_path: Path) -> None:
    patch = of(f"# -*- coding: latin-1 -*-\n{BODY}".encode("latin-1"))
    assert "Größe und Maß".encode("latin-1") in patch.after["train.py"]
    applies(patch, tmp_path)


def test_what_is_not_in_its_encoding_is_refused() -> None:
    with pytest.raises(CannotPatch, match=r"'train\.py' is not in the encoding.*save it as UTF-8"):
        of(BODY.encode("latin-1"))
    with pytest.raises(CannotPatch, match="not in the encoding"):
        of(b"# coding: no-such-thing\n" + BODY.encode())


@pytest.mark.parametrize("odd", ["match x:\n case = 1\n", "def f(:\n", "x = lazy import y\n"])
def test_syntax_that_libcst_does_not_know_is_named_with_its_line(odd: str) -> None:
    with pytest.raises(
        CannotPatch, match=r"'?train\.py'?, line \d+: this is no Python that LibCST"
    ):
        of((BODY + odd).encode())


def test_ipython_magic_is_no_python() -> None:
    with pytest.raises(CannotPatch, match="this is no Python"):
        of(b"%matplotlib inline\n" + BODY.encode())


def test_a_binary_file_and_a_huge_one_are_refused() -> None:
    with pytest.raises(CannotPatch, match="is no Python source"):
        of(b"x = 1\0\n")
    with pytest.raises(CannotPatch, match="more than a script does"):
        decoded(b"#" * 10_000_001, "train.py")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotPatch, match=r"cannot read 'gone\.py': No such file"):
        sources_of(tmp_path, {"gone.py"})


def test_five_thousand_lines() -> None:
    filler = "".join(f"def f{k}(x):\n    return x + {k}\n" for k in range(2500))
    patch = of((BODY.replace("net = ", f"{filler}net = ")).encode())
    assert patch.whole and len(patch.after["train.py"].splitlines()) > 5000
    assert len(patch.diff.splitlines()) < 60


def test_odd_characters_end_no_line_of_a_diff(tmp_path: Path) -> None:
    patch = of(BODY.replace("Maß", "Maß \x0c \u2028 x").encode())
    applies(patch, tmp_path)


def test_nothing_changed_is_no_diff() -> None:
    assert diff_of({"a.py": b"x\n"}, {}) == b""
    assert diff_of({"a.py": b"x\n"}, {"a.py": b"x\n"}) == b""
