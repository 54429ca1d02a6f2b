"""`evenflow run --live`: drawn at the bottom of a terminal, and the script's output as ever."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from programs import EVENFLOW, run
from terminals import Session

pyte = pytest.importorskip("pyte")

SCRIPT = """
import os, subprocess, sys, time
print("before torch", flush=True)
import torch
print(sys.stdout.isatty(), sys.stderr.isatty(), sys.stdout.fileno(), sys.stdout.encoding,
      sys.stdout is sys.__stdout__, type(sys.stderr).__name__, sys.stdout.line_buffering)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(5):
    optimizer.zero_grad()
    net(torch.randn(16, 4)).square().mean().backward()
    optimizer.step()
print(sum(p.double().sum().item() for p in net.parameters()), torch.rand(1).item())
print("half a line, ", end="", flush=True)
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.02)
print("and its end")
for share in range(0, 101, 20):
    print(f"\\r{share:3} %", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
subprocess.run(["sh", "-c", "echo from a child; printf 'no newline'"])
os.write(1, b"\\nstraight to the terminal\\n")
print("\\x1b[31mred", end="\\x1b[0m\\n")
"""


def go(session: Session) -> None:
    """The script goes on once two frames with all their rows have been drawn."""
    folder = Path(os.readlink(f"/proc/{session.process.pid}/cwd"))
    if session.said.count(b"learning rate") >= 2 and (folder / "ready").exists():
        (folder / "go").touch()


def live(folder: Path, text: str = SCRIPT, *options: str, seen=go, **more) -> Session:  # type: ignore[no-untyped-def]
    (folder / "train.py").write_text(text)
    arguments = ("run", "--live", "--every", "1", *options, "train.py")
    return Session((*EVENFLOW, *arguments), folder, seen, **more)


def bare(folder: Path, text: str = SCRIPT, **more) -> Session:  # type: ignore[no-untyped-def]
    (folder / "train.py").write_text(text)
    (folder / "go").touch()
    found = Session((sys.executable, "train.py"), folder, **more)
    (folder / "go").unlink()
    return found


def test_the_scripts_output_is_its_own_to_the_byte(tmp_path: Path) -> None:
    plain, drawn = bare(tmp_path), live(tmp_path, SCRIPT, "--quiet")
    assert len(drawn.frames) > 3
    assert drawn.own == plain.said and drawn.code == plain.code == 0
    assert drawn.screen.display == plain.screen.display
    one, other = drawn.screen.cursor, plain.screen.cursor
    assert (one.x, one.y, one.hidden) == (other.x, other.y, other.hidden)
    assert drawn.screen.margins is None


def test_a_frame_has_step_loss_rate_layers_and_colours(tmp_path: Path) -> None:
    frame = [f for f in live(tmp_path).frames if b"learning rate" in f][1]
    screen = pyte.Screen(80, 24)
    pyte.ByteStream(screen).feed(frame)
    first = next(i for i, row in enumerate(screen.display) if row.strip())
    rows = screen.display[first:]
    assert rows[0].startswith("── evenflow  step 4  loss ") and " learning rate 0.1 ──" in rows[0]
    assert [row.split()[-2:] for row in rows[1:4]] == [
        ["0", "linear"],
        ["1", "tanh"],
        ["2", "linear"],
    ]
    colours = {screen.buffer[first + 1 + i][0].fg for i in range(3)}
    assert "default" not in colours and len(colours) > 1
    assert rows[-1].strip()


def test_after_it_the_findings_are_told_on_a_whole_terminal(tmp_path: Path) -> None:
    said = live(tmp_path)
    rows = "\n".join(said.screen.display)
    assert "evenflow  " in rows and "Next: evenflow report" in rows
    assert "gradient by layer and step" in rows
    assert said.screen.margins is None and "not judged yet" not in rows


def test_an_error_and_an_exit_code_are_the_scripts(tmp_path: Path) -> None:
    for end in ("raise RuntimeError('mine')", "raise SystemExit(7)"):
        text = f"{SCRIPT}\n{end}"
        plain, drawn = bare(tmp_path, text), live(tmp_path, text, "--quiet")
        assert (drawn.own, drawn.code) == (plain.said, plain.code)
        assert drawn.frames and drawn.screen.display == plain.screen.display


FOREVER = SCRIPT.replace('os.path.exists("go")', "False")


def test_ctrl_c_ends_it_as_ever(tmp_path: Path) -> None:
    pressed = []

    def press(session: Session) -> None:
        if session.said.count(b"learning rate") >= 2 and not pressed:
            pressed.append(session.type(b"\x03"))

    drawn = live(tmp_path, FOREVER, "--quiet", seen=press)
    assert drawn.code == -signal.SIGINT
    assert drawn.own.rstrip().endswith(b"KeyboardInterrupt") and b"Traceback" in drawn.own
    screen = drawn.screen
    assert screen.margins is None and not screen.cursor.hidden
    assert "learning rate" not in "".join(screen.display)


def test_a_killed_script_leaves_a_whole_terminal(tmp_path: Path) -> None:
    def kill(session: Session) -> None:
        if session.said.count(b"learning rate") >= 2:
            session.process.kill()

    drawn = live(tmp_path, FOREVER, seen=kill)
    assert drawn.code == -signal.SIGKILL
    assert drawn.screen.margins is None and "learning rate" not in "".join(drawn.screen.display)


def test_the_painter_is_no_child_of_the_scripts(tmp_path: Path) -> None:
    text = SCRIPT + "\ntry: os.wait()\nexcept ChildProcessError: print('no child')"
    drawn = live(tmp_path, text, "--quiet")
    assert drawn.own.endswith(b"no child\r\n") and drawn.code == 0


def test_a_window_that_changes_its_size(tmp_path: Path) -> None:
    def shrink(session: Session) -> None:
        if session.rows == 24 and session.said.count(b"learning rate") >= 2:
            session.rows, session.columns = 18, 70
            session.resize(18, 70)
        if b"\x1b[14;1H" in session.said:
            (tmp_path / "go").touch()

    drawn = live(tmp_path, SCRIPT, "--quiet", seen=shrink)
    assert drawn.code == 0 and drawn.screen.margins is None
    assert drawn.own == bare(tmp_path).said


def test_who_reads_keys_has_the_whole_terminal(tmp_path: Path) -> None:
    keys = (
        "import tty; tty.setcbreak(0); open('reading', 'w').close()\n"
        "while not os.path.exists('read'): time.sleep(0.02)\n"
    )
    text = SCRIPT.replace('print("and', f'{keys}print("and')

    looks = []

    def read(session: Session) -> None:
        go(session)
        if (tmp_path / "reading").exists() and session.said.endswith(b"\x1b[J\x1b8"):
            looks.append(1)  # more than one: rows are given back when they become more, too
        if len(looks) > 9:
            (tmp_path / "read").touch()

    drawn = live(tmp_path, text, "--quiet", seen=read)
    assert drawn.code == 0 and drawn.screen.margins is None
    assert b"\x1b[r" not in drawn.said.partition(b"and its end")[2]


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_without_colours_or_without_anything(term: str, tmp_path: Path) -> None:
    def seen(session: Session) -> None:
        if term == "dumb" and (tmp_path / "ready").exists():
            (tmp_path / "go").touch()
        go(session)

    drawn = live(tmp_path, SCRIPT, "--quiet", seen=seen, TERM=term, NO_COLOR="1")
    assert bool(drawn.frames) == (term != "dumb")
    assert b"38;" not in drawn.said and b"\x1b[36m" not in drawn.said
    if drawn.frames:
        assert "█".encode() in drawn.frames[-2]


def test_on_a_pipe_it_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "go").touch()
    done = run((*EVENFLOW, "run", "--live", "train.py"), tmp_path)
    assert done.returncode == 0 and "\x1b" not in done.stdout.replace("\x1b[31mred\x1b[0m", "")
    assert "\x1b" not in done.stderr


def test_bottom_rows_leave_half_a_line_where_it_is(tmp_path: Path) -> None:
    """At the very bottom, too, where room is made by scrolling."""
    from evenflow.cli.live.bottom import drawn, given_back, taken

    screen = pyte.HistoryScreen(20, 10, history=100)
    stream = pyte.Stream(screen)
    stream.feed("".join(f"line {i}\r\n" for i in range(9)) + "\x1b[31mhalf")
    stream.feed(taken(3, 10) + drawn(["a", "b", "c"], 10))
    assert screen.display[6].rstrip() == "half" and (screen.cursor.y, screen.cursor.x) == (6, 4)
    stream.feed(" and half\r\nnext")
    stream.feed(drawn(["d", "e", "f"], 10))
    assert [row.rstrip() for row in screen.display[5:]] == ["half and half", "next", "d", "e", "f"]
    assert screen.buffer[6][0].fg == "red"  # the script's colour outlives a frame
    above = ["".join(row[x].data for x in range(20)).rstrip() for row in screen.history.top]
    assert above == [f"line {i}" for i in range(4)]
    stream.feed(given_back(3, 10) + "\r\nlast")
    assert screen.margins is None and screen.display[7].rstrip() == "last"
    assert not "".join(screen.display[8:]).strip()


@pytest.mark.parametrize(("rows", "columns"), [(8, 80), (24, 20)])
def test_too_small_a_terminal_has_none(rows: int, columns: int, tmp_path: Path) -> None:
    def seen(session: Session) -> None:
        if (tmp_path / "ready").exists():
            (tmp_path / "go").touch()

    drawn = live(tmp_path, SCRIPT, "--quiet", seen=seen, rows=rows, columns=columns)
    assert drawn.own == bare(tmp_path, rows=rows, columns=columns).said
    assert b"\x1b7\x1b[?6l" not in drawn.said or rows == 8


def test_what_fails_in_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import os, sys\n"
        "if sys.argv[:1] == ['-c']: os._exit(3)\n"
    )  # fmt: skip

    def seen(session: Session) -> None:
        if (tmp_path / "ready").exists():
            (tmp_path / "go").touch()

    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    drawn = live(tmp_path, SCRIPT, "--quiet", seen=seen, PYTHONPATH=path, EVENFLOW_STRICT="0")
    assert b"evenflow: could not draw (CalledProcessError" in drawn.said
    assert drawn.code == 0 and b"straight to the terminal" in drawn.said
